/** What a person without devices sends first. */

/** The line for a shell; the client's own default is this machine. */
export function firstCommand(hostname: string, port: number): string {
  const local = hostname === "localhost" || hostname === "127.0.0.1" || hostname === "[::1]";
  const host = local ? "" : `-h ${hostname.replace(/[[\]]/g, "")} `;
  return `mosquitto_pub ${host}-p ${port} -q 1 -t devices/d1/telemetry -m '{"values":{"temperature":21.5}}'`;
}
