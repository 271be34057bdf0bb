/**
 * An HTTP server that takes line protocol as InfluxDB 2 does at /api/v2/write, and fails on command: the real server
 * cannot be told to store a batch and then answer 500. The real one is used in tests/contract/store-influxdb.test.ts.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { RollupQuery } from "../../contracts/ports/store.js";
import { ROLLUP_FIELDS, type Rollup } from "../../contracts/rollup.js";
import { freePort, type Workspace } from "./harness.js";

/** What becomes of a write: stored; refused with a status; or stored and then answered as if it had failed. */
export type Mode = { store: boolean; status: number };
export const WORKING: Mode = { store: true, status: 204 };

export class LineProtocolServer {
  readonly url: string;
  mode = WORKING;
  /** From the first write that holds such a line on, this is the mode. */
  change: { line: RegExp; mode: Mode } | undefined;
  /** A line that is not taken: then the whole request is answered with 400 and these words. */
  refuse: { line: RegExp; words: string } | undefined;
  /** Write requests that were answered as the mode says. */
  requests = 0;
  readonly #port: number;
  readonly #points = new Map<string, Rollup>();
  #server: Server | undefined;

  private constructor(port: number) {
    this.#port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(space: Workspace): Promise<LineProtocolServer> {
    const server = new LineProtocolServer(await freePort());
    await server.up();
    space.onClose(() => server.down());
    return server;
  }

  /** Listens (again) on its port. */
  async up(): Promise<void> {
    this.#server = createServer((request, response) => void this.#answer(request, response));
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  /** Ends every connection and listens no more: connections are refused. */
  async down(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  }

  /** What it holds, as the store port answers. */
  async rollups({ device, metric, resolution, from, to }: RollupQuery): Promise<Rollup[]> {
    const found = [...this.#points.values()].filter(
      (row) =>
        row.device === device &&
        row.metric === metric &&
        row.resolution === resolution &&
        row.start >= from &&
        row.start < to,
    );
    return found.sort((a, b) => a.start - b.start);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    const reply = (status: number, message: string) => {
      response.writeHead(status, { "content-type": "application/json", "retry-after": "0" });
      response.end(status === 204 ? undefined : JSON.stringify({ code: "error", message }));
    };
    if (!request.url?.startsWith("/api/v2/write")) return reply(404, `${request.url} is not served here`);
    this.requests++;
    const lines = body.split("\n");
    const { refuse, change } = this;
    if (change && lines.some((line) => change.line.test(line))) {
      this.mode = change.mode;
      this.change = undefined;
    }
    if (refuse && lines.some((line) => refuse.line.test(line))) return reply(400, refuse.words);
    const { mode } = this;
    if (mode.store) for (const line of lines) this.#store(line);
    reply(mode.status, `told to answer ${mode.status}`);
  }

  /** A point written again replaces the earlier one. Points that are no rollups are taken and not kept. */
  #store(line: string): void {
    const match = /^telemetry_(\w+),device=([^,]+),metric=([^ ]+) (\S+) (\d+)$/.exec(line);
    if (!match) return;
    const [, resolution, device, metric, fields, start] = match as unknown as [string, ...string[]];
    const values = new Map(fields!.split(",").map((field) => field.split("=") as [string, string]));
    const numbers = ROLLUP_FIELDS.map((name) => [name, Number.parseFloat(values.get(name)!)]);
    const row = {
      device,
      metric,
      resolution,
      start: Number(start),
      ...Object.fromEntries(numbers),
    } as Rollup;
    this.#points.set(`${resolution}/${device}/${metric}/${start}`, row);
  }
}
