/**
 * A gateway on a free port over a {@link TestLog}, for integration tests; everything is stopped after the test.
 */
import type { TestContext } from "node:test";
import { pino } from "pino";
import { systemClock } from "../../runtime/clock.js";
import { Registry } from "../../runtime/metrics.js";
import { type Gateway, type GatewayOptions, startGateway } from "../main.js";
import { TestLog } from "../test-log.js";
import { RawClient } from "./raw-client.js";

export interface Harness {
  log: TestLog;
  gateway: Gateway;
  registry: Registry;
  /** A client with the handshake done. */
  client(id: string, options?: object): Promise<RawClient>;
  /** A TCP connection. */
  open(): Promise<RawClient>;
}

export type HarnessOptions = Omit<Partial<GatewayOptions>, "log"> & { log?: TestLog };

export async function startHarness(t: TestContext, options: HarnessOptions = {}): Promise<Harness> {
  const log = options.log ?? new TestLog();
  const registry = new Registry();
  const gateway = await startGateway({
    clock: systemClock,
    logger: pino({ level: "silent" }),
    registry,
    mqtt: { host: "127.0.0.1", port: 0 },
    publishAlerts: false,
    ...options,
    log,
    limits: { closeDeadlineMs: 2_000, ...options.limits },
  });
  const clients: RawClient[] = [];
  t.after(async () => {
    for (const client of clients) client.socket.destroy();
    log.release();
    log.failure = undefined;
    await gateway.close();
  });
  const keep = (client: RawClient) => {
    clients.push(client);
    return client;
  };
  return {
    log,
    gateway,
    registry,
    client: async (id, connectOptions) => keep(await RawClient.connect(gateway.port, id, connectOptions)),
    open: async () => keep(await RawClient.open(gateway.port)),
  };
}
