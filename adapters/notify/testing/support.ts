/**
 * What the channel tests share: a notification, and an HTTP server that keeps what it gets.
 */
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { type Alert, alertId } from "../../../contracts/alert.js";
import type { Channel, Notification } from "../../../contracts/ports/channel.js";
import { systemClock } from "../../../runtime/clock.js";
import { notifyChannels } from "../index.js";

export interface Request {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}

/** `answer` may never resolve: a server that hangs. */
export async function startHttp(
  answer: (request: Request) => Answer | Promise<Answer> = () => ({ status: 200 }),
) {
  const requests: Request[] = [];
  const server = createServer(async (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const request = {
      path: incoming.url ?? "",
      headers: incoming.headers,
      body: Buffer.concat(chunks).toString(),
    };
    requests.push(request);
    const { status, headers, body } = await answer(request);
    outgoing.writeHead(status, headers).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    requests,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.closeAllConnections();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

export function channel(
  settings: { type: string } & Record<string, unknown>,
  env: Record<string, string> = {},
): Channel {
  return notifyChannels({ clock: systemClock, env })(settings, `ops/${settings.type}`);
}

export const send = (to: Channel, notification: Notification) =>
  to.send(notification, new AbortController().signal);

export function alert(parts: Partial<Alert> = {}): Alert {
  const startedAt = Date.now() - 60_000;
  const { device = "pump-1" } = parts;
  return {
    v: 1,
    id: alertId("hot", device, "temperature", startedAt),
    state: "firing",
    rule: "hot",
    severity: "critical",
    device,
    metric: "temperature",
    startedAt,
    updatedAt: startedAt,
    value: 90.5,
    score: 1,
    detector: "range",
    threshold: 0.5,
    summary: `temperature of ${device} is 90.5, above its limit of <80> & more`,
    ...parts,
  };
}

export function ended(firing: Alert): Alert {
  const at = firing.startedAt + 30_000;
  return { ...firing, state: "resolved", updatedAt: at, resolvedAt: at };
}

let made = 0;

export function notification(alerts: Alert[], parts: Partial<Notification> = {}): Notification {
  const firing = alerts.filter(({ state }) => state === "firing").length;
  return {
    v: 1,
    id: `${++made}`.padStart(32, "0"),
    groupKey: "9".repeat(32),
    groupLabels: { rule: "hot" },
    receiver: "ops",
    channel: "ops/test",
    status: firing > 0 ? "firing" : "resolved",
    cause: firing > 0 ? "new" : "resolved",
    alerts,
    firing,
    resolved: alerts.length - firing,
    createdAt: Date.now(),
    ...parts,
  };
}

/** A setting that names an environment variable. */
export const fromEnv = (name: string) => `\${${name}}`;
