/**
 * An API on a free port over ports in memory, with rows to put into them.
 */
import { type Alert, alertId } from "../../contracts/alert.js";
import type { DeadLetterRecord } from "../../contracts/dead-letter.js";
import type { DeviceSummary } from "../../contracts/device.js";
import type { Rollup } from "../../contracts/rollup.js";
import { TOPICS } from "../../contracts/topics.js";
import { systemClock } from "../../runtime/clock.js";
import { createLogger } from "../../runtime/logger.js";
import { Registry } from "../../runtime/metrics.js";
import { LiveFeed } from "../live-feed.js";
import { type Api, type ApiOptions, startApi } from "../server.js";
import { MemoryLog, MemoryStore } from "./memory-ports.js";

export interface Harness {
  api: Api;
  url: string;
  store: MemoryStore;
  log: MemoryLog;
  live: LiveFeed;
  registry: Registry;
  stats: Record<string, unknown>;
  /** What `/readyz` finds. */
  readiness: { ok: boolean; checks: { name: string; ok: boolean; detail: string }[] };
  get(path: string): Promise<{ status: number; headers: Headers; body: never }>;
}

export async function startHarness(options: Partial<ApiOptions> = {}): Promise<Harness> {
  const store = new MemoryStore();
  const log = new MemoryLog(2, [TOPICS.invalid]);
  const live = new LiveFeed();
  const registry = new Registry();
  const stats: Record<string, unknown> = { received: 0, readings: 0, invalid: 0, duplicates: 0, late: 0 };
  const readiness = { ok: true, checks: [{ name: "log", ok: true, detail: "reachable" }] };
  const api = await startApi({
    host: "127.0.0.1",
    port: 0,
    store,
    log,
    registry,
    logger: createLogger("silent"),
    clock: systemClock,
    sources: { stats: () => stats, ready: async () => readiness, live, mqttPort: () => 1883 },
    ...options,
  });
  const url = `http://127.0.0.1:${api.port}`;
  const get = async (path: string) => {
    const response = await fetch(url + path);
    return { status: response.status, headers: response.headers, body: (await response.json()) as never };
  };
  return { api, url, store, log, live, registry, stats, readiness, get };
}

export function aRollup(over: Partial<Rollup> & Pick<Rollup, "start">): Rollup {
  return {
    device: "d1",
    metric: "temperature",
    resolution: "10s",
    count: 2,
    min: 1,
    max: 3,
    sum: 4,
    mean: 2,
    first: 1,
    last: 3,
    p50: 2,
    p95: 3,
    p99: 3,
    revision: 2,
    ...over,
  };
}

export function anAlert(over: Partial<Alert> = {}): Alert {
  const { device = "d1", metric = "temperature", startedAt = 1_000, rule = "too-hot" } = over;
  return {
    v: 1,
    id: alertId(rule, device, metric, startedAt),
    state: "firing",
    rule,
    severity: "critical",
    device,
    metric,
    startedAt,
    updatedAt: startedAt,
    value: 91,
    score: 0.83,
    detector: "novelty",
    threshold: 0.5,
    expected: 40,
    lower: 35,
    upper: 45,
    summary: `${metric} of ${device} is 91, expected 35 to 45`,
    ...over,
  };
}

export function aDevice(over: Partial<DeviceSummary> = {}): DeviceSummary {
  return {
    device: "d1",
    lastTs: 1_000,
    lastIngestTs: 1_100,
    readings: 7,
    latest: { temperature: 21.5, humidity: 40 },
    ...over,
  };
}

export function aDeadLetter(over: Partial<DeadLetterRecord> & { raw?: Uint8Array } = {}): DeadLetterRecord {
  const { raw = Buffer.from('{"values":{'), ...rest } = over;
  return {
    v: 1,
    id: `dl-${rest.ingestTs ?? 1_000}`,
    reason: "not_json",
    detail: "Unexpected end of JSON input",
    topic: "devices/d1/telemetry",
    clientId: "c1",
    deviceId: "d1",
    ingestTs: 1_000,
    payload: Buffer.from(raw).toString("base64"),
    payloadBytes: raw.length,
    ...rest,
  };
}

export async function appendDeadLetters(log: MemoryLog, letters: readonly DeadLetterRecord[]): Promise<void> {
  await log.append(
    TOPICS.invalid,
    letters.map((letter) => ({ value: Buffer.from(JSON.stringify(letter)), timestamp: letter.ingestTs })),
  );
}
