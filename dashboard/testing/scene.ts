/**
 * A page in a real Chromium over a real API whose store is in memory, filled with a plausible fleet.
 */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import {
  aDeadLetter,
  anAlert,
  appendDeadLetters,
  type Harness,
  startHarness,
} from "../../api/testing/harness.js";
import type { DeviceSummary } from "../../contracts/device.js";
import type { Rollup } from "../../contracts/rollup.js";
import { DEFAULT_RESOLUTIONS } from "../../contracts/window.js";

const CHROMIUM = process.env.CHROMIUM_PATH ?? "/usr/bin/chromium";
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Why there is no browser to test with; undefined when there is one. */
export const noChromium = existsSync(CHROMIUM) ? undefined : `no Chromium at ${CHROMIUM} (set CHROMIUM_PATH)`;

export interface Scene {
  harness: Harness;
  browser: Browser;
  /** Opens the page at a hash; what the page complained about is collected in `complaints`. */
  open(hash: string, options?: BrowserContextOptions): Promise<Page>;
  complaints: string[];
  close(): Promise<void>;
}

export async function startScene(): Promise<Scene> {
  const pageDir = await mkdtemp(join(tmpdir(), "sluice-page-"));
  const bundler = join(projectRoot(), "dashboard/bundle.mjs");
  const { bundlePage } = (await import(bundler)) as { bundlePage(dir: string): Promise<void> };
  await bundlePage(pageDir);
  const harness = await startHarness({ pageDir });
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  const complaints: string[] = [];
  const open = async (hash: string, options: BrowserContextOptions = {}) => {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
    const page = await context.newPage();
    page.on("console", (message) => {
      const bad = message.type() === "error" || message.type() === "warning";
      // The tests themselves read canvases back; the page never does.
      if (bad && !message.text().includes("willReadFrequently")) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("request", (request) => {
      if (!request.url().startsWith(harness.url)) complaints.push(`outside request: ${request.url()}`);
    });
    await page.goto(`${harness.url}/${hash}`);
    return page;
  };
  const close = async () => {
    await browser.close();
    await harness.api.close();
    await rm(pageDir, { recursive: true });
  };
  return { harness, browser, open, complaints, close };
}

/** The tests run both from the sources and compiled; the bundler is only among the sources. */
function projectRoot(): string {
  let at = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(at, "package.json"))) at = dirname(at);
  return at;
}

interface Signal {
  base: number;
  swing: number;
  periodMs: number;
  noise: number;
}

const SIGNALS: Record<string, Signal> = {
  temperature: { base: 62, swing: 6, periodMs: 47 * 60_000, noise: 0.8 },
  vibration: { base: 2.1, swing: 0.4, periodMs: 11 * 60_000, noise: 0.25 },
  pressure: { base: 4.2, swing: 0.3, periodMs: 31 * 60_000, noise: 0.04 },
  current: { base: 12.4, swing: 2.2, periodMs: 23 * 60_000, noise: 0.5 },
};

/** The value of a signal at a time, the same at every call. */
export function valueAt(metric: string, ts: number, seed: number): number {
  const { base, swing, periodMs, noise } = SIGNALS[metric]!;
  const hash = Math.sin(ts * 0.001 + seed * 78.233) * 43758.5453;
  return (
    base + swing * Math.sin((ts / periodMs) * 2 * Math.PI + seed) + noise * (hash - Math.floor(hash) - 0.5)
  );
}

export function rollupAt(
  device: string,
  metric: string,
  start: number,
  sizeMs: number,
  resolution: string,
): Rollup {
  const seed = device.length + device.charCodeAt(device.length - 1);
  const values = Array.from({ length: 10 }, (_, n) => valueAt(metric, start + (n * sizeMs) / 10, seed));
  const sum = values.reduce((total, value) => total + value, 0);
  const sorted = [...values].sort((a, b) => a - b);
  return {
    device,
    metric,
    resolution,
    start,
    count: values.length,
    min: sorted[0]!,
    max: sorted[9]!,
    sum,
    mean: sum / 10,
    first: values[0]!,
    last: values[9]!,
    p50: sorted[4]!,
    p95: sorted[9]!,
    p99: sorted[9]!,
    revision: values.length,
  };
}

/** Devices `pump-1`..`pump-n`, the first with an hour of rollups and an alert, some silent, some dead letters. */
export async function fillFleet({ store, log, stats }: Harness, count: number): Promise<void> {
  const now = Date.now();
  const metrics = Object.keys(SIGNALS);
  const devices = Array.from({ length: count }, (_, n): DeviceSummary => {
    const silentMs = n % 9 === 5 ? 400_000 * (n + 1) : (n % 5) * 900;
    const latest = Object.fromEntries(metrics.map((metric) => [metric, valueAt(metric, now, n)]));
    const [lastTs, lastIngestTs] = [now - silentMs - 40, now - silentMs];
    return { device: `pump-${n + 1}`, lastTs, lastIngestTs, readings: 3_600 + n * 7, latest };
  });
  const rollups = metrics.flatMap((metric) => history("pump-1", metric, now));
  const alerts = [
    anAlert({
      device: "pump-1",
      startedAt: now - 260_000,
      updatedAt: now - 255_000,
      value: 78.4,
      expected: 62.1,
      lower: 56.2,
      upper: 67.9,
      summary: "temperature of pump-1 is 78.4, expected 56.2 to 67.9 (novelty score 0.83)",
    }),
    anAlert({
      device: "pump-7",
      metric: "vibration",
      severity: "warning",
      startedAt: now - 900_000,
      value: 4.7,
      expected: 2.1,
      lower: 1.4,
      upper: 2.9,
      summary: "vibration of pump-7 is 4.7, expected 1.4 to 2.9 (spike score 0.71)",
      score: 0.71,
      detector: "spike",
      rule: "vibration-spike",
    }),
    anAlert({
      device: "pump-1",
      metric: "vibration",
      state: "resolved",
      startedAt: now - 2_000_000,
      updatedAt: now - 1_700_000,
      resolvedAt: now - 1_700_000,
      summary: "vibration of pump-1 is 3.9, expected 1.5 to 2.8 (spike score 0.64)",
    }),
  ];
  await store.write({ devices, rollups, alerts });
  await appendDeadLetters(log, [
    aDeadLetter({ ingestTs: now - 65_000, clientId: "pump-3" }),
    aDeadLetter({
      ingestTs: now - 41_000,
      reason: "bad_value",
      detail: 'values.temperature: must be a finite number, not "hot"',
      topic: "devices/pump-4/telemetry",
      raw: Buffer.from('{"ts":1732350000000,"values":{"temperature":"hot"}}'),
    }),
    aDeadLetter({
      ingestTs: now - 3_000,
      reason: "not_utf8",
      detail: "byte 0 is not UTF-8",
      raw: Buffer.from([0xff, 0xfe, 0x00, 0x21]),
    }),
  ]);
  Object.assign(stats, {
    received: 1_204_311,
    readings: 1_204_308,
    invalid: 3,
    refused: 0,
    duplicates: 12,
    late: 4,
    processed: 1_204_300,
    counted: 1_204_284,
    connections: count,
    lag: 8,
  });
}

/** What a store holds of a series: an hour at the finest resolution, more at the coarser ones. */
function history(device: string, metric: string, now: number): Rollup[] {
  return DEFAULT_RESOLUTIONS.flatMap(({ name, sizeMs }) => {
    const last = Math.floor(now / sizeMs) * sizeMs;
    return Array.from({ length: 420 }, (_, n) => rollupAt(device, metric, last - n * sizeMs, sizeMs, name));
  });
}
