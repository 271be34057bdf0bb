/**
 * The contract of the Store port, run over every adapter.
 *
 * Every test uses devices of its own, so the suite runs on a server that others use too. A query may lag behind a
 * write: reads are repeated until they show what is expected, or a generous limit passes.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import type { Alert } from "../../contracts/alert.js";
import type { DeviceSummary } from "../../contracts/device.js";
import type { Store, StoreBatch } from "../../contracts/ports/store.js";
import { ROLLUP_FIELDS, type Rollup } from "../../contracts/rollup.js";

export interface OpenStore {
  store: Store;
  close(): Promise<void>;
}

const VISIBLE_LIMIT_MS = 30_000;
const START = 1_732_350_000_000;
const SIZE_MS = 10_000;
const EMPTY: StoreBatch = { rollups: [], alerts: [], devices: [] };

/** Doubles that a careless text or 32-bit form would change. */
const HARD_DOUBLES = [
  0.1 + 0.2,
  1e-300,
  5e-324,
  -0,
  Number.MAX_VALUE,
  -1 / 3,
  2 ** 53 - 1,
  123456789.12345679,
];

export function rollup(device: string, change: Partial<Rollup> = {}): Rollup {
  return {
    device,
    metric: "temperature",
    resolution: "10s",
    start: START,
    count: 3,
    min: 1.5,
    max: 9.5,
    sum: 15.5,
    mean: 15.5 / 3,
    first: 4.5,
    last: 1.5,
    p50: 4.5,
    p95: 9.5,
    p99: 9.5,
    revision: 3,
    ...change,
  };
}

export function alert(device: string, id: string, change: Partial<Alert> = {}): Alert {
  return {
    v: 1,
    id,
    state: "firing",
    rule: "too hot",
    severity: "critical",
    device,
    metric: "temperature",
    startedAt: START,
    updatedAt: START,
    value: 41.5,
    score: 0.75,
    detector: "threshold",
    threshold: 40,
    summary: "temperature is 41.5",
    ...change,
  };
}

export function storeContractSuite(name: string, open: () => Promise<OpenStore>): void {
  describe(`store contract: ${name}`, () => {
    let opened: OpenStore;
    let store: Store;

    before(async () => {
      opened = await open();
      store = opened.store;
    });
    after(() => opened?.close());

    async function write(batch: Partial<StoreBatch>): Promise<void> {
      assert.deepEqual(await store.write({ ...EMPTY, ...batch }), []);
    }

    function series(device: string, from = START, to = START + 1_000 * SIZE_MS, limit?: number) {
      const query = { device, metric: "temperature", resolution: "10s", from, to };
      return store.rollups(limit === undefined ? query : { ...query, limit });
    }

    it("keeps every bit of every field", async () => {
      const device = unique("bits");
      const rollups = HARD_DOUBLES.map((_, shift) => {
        const fields = ROLLUP_FIELDS.map((field, i) => {
          const whole = field === "count" || field === "revision";
          return [field, whole ? 2 ** 53 - 1 - i - shift : HARD_DOUBLES[(i + shift) % HARD_DOUBLES.length]];
        });
        return rollup(device, { start: START + shift * SIZE_MS, ...Object.fromEntries(fields) });
      });
      await write({ rollups });
      await eventually(() => series(device), rollups);
    });

    it("lets the last write of a window win, also with smaller values and a lower count", async () => {
      const device = unique("rewrite");
      const small = rollup(device, {
        count: 1,
        min: -5.5,
        max: 0.5,
        sum: 0,
        mean: 0,
        last: -1.5,
        revision: 1,
      });
      for (const row of [rollup(device), small, rollup(device, { max: 1e9 }), small]) {
        await write({ rollups: [row] });
        await eventually(() => series(device), [row]);
      }
    });

    it("lets the later row of one batch win", async () => {
      const device = unique("batch");
      await write({ rollups: [rollup(device), rollup(device, { max: -7.5 })] });
      await eventually(() => series(device), [rollup(device, { max: -7.5 })]);
    });

    it("reads half-open ranges in time order, with a limit from the start", async () => {
      const device = unique("range");
      const rollups = Array.from({ length: 20 }, (_, i) =>
        rollup(device, { start: START + i * SIZE_MS, sum: i }),
      );
      await write({ rollups: [...rollups].reverse() });
      await eventually(() => series(device), rollups);
      const [from, to] = [START + 5 * SIZE_MS, START + 10 * SIZE_MS];
      assert.deepEqual(await series(device, from, to), rollups.slice(5, 10));
      assert.deepEqual(await series(device, from + 1, to + 1), rollups.slice(6, 11));
      assert.deepEqual(await series(device, from, to, 2), rollups.slice(5, 7));
      assert.deepEqual(await series(device, from, from), []);
      assert.deepEqual(await series(device, to, from), []);
      assert.deepEqual(await series(device, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY), rollups);
      assert.deepEqual(await series(device, START + 500 * SIZE_MS), []);
    });

    it("finds windows that lie far apart", async () => {
      const device = unique("gaps");
      const rollups = [0, 1, 50_000, 3_000_000].map((i) => rollup(device, { start: START + i * SIZE_MS }));
      await write({ rollups });
      await eventually(() => series(device, 0, START + 4_000_000 * SIZE_MS), rollups);
    });

    it("keeps devices, metrics and resolutions apart", async () => {
      const device = unique("apart");
      const rollups = [
        rollup(device),
        rollup(`${device}0`, { sum: 1 }),
        rollup(device, { metric: "temperature.", sum: 2 }),
        rollup(device, { resolution: "1m", start: START - (START % 60_000), sum: 3 }),
      ];
      await write({ rollups });
      for (const row of rollups) {
        const { metric, resolution } = row;
        const query = { device: row.device, metric, resolution, from: START - 60_000, to: START + SIZE_MS };
        await eventually(() => store.rollups(query), [row]);
      }
    });

    it("takes every legal name", async () => {
      for (const name of ["a.b:c-d_e", "-", ".", "x".repeat(128), "true", "null", "1i"]) {
        const device = unique("").slice(1) + name.slice(0, 111);
        const row = rollup(device, { metric: name });
        await write({ rollups: [row], devices: [summary(device, { latest: { [name]: 0.1 + 0.2 } })] });
        const query = { device, metric: name, resolution: "10s", from: START, to: START + 1 };
        await eventually(() => store.rollups(query), [row]);
      }
    });

    it("shows an alert once, in its latest state, with every field", async () => {
      const device = unique("alert");
      const firing = alert(device, unique("id"));
      await write({ alerts: [firing] });
      await eventually(() => store.alerts({ device }), [firing]);
      const change = { expected: 0.1 + 0.2, lower: -1e-300, upper: 40, value: 20, score: 1 };
      const times = { updatedAt: START + 5_000, resolvedAt: START + 5_000 };
      const resolved: Alert = { ...firing, ...change, ...times, state: "resolved" };
      await write({ alerts: [resolved] });
      await eventually(() => store.alerts({ device }), [resolved]);
      assert.deepEqual(await store.alerts({ device, state: "firing" }), []);
      await write({ alerts: [resolved] });
      await eventually(() => store.alerts({ device, state: "resolved" }), [resolved]);
    });

    it("lists alerts newest first, by state and device, with a limit", async () => {
      const device = unique("alerts");
      const other = unique("alerts");
      const all = Array.from({ length: 6 }, (_, i) => {
        const updatedAt = START + i * 1_000;
        const shared = { startedAt: updatedAt, updatedAt };
        if (i % 2 === 0) return alert(device, unique("id"), shared);
        return alert(device, unique("id"), { ...shared, state: "resolved", resolvedAt: updatedAt });
      });
      await write({ alerts: [...all, alert(other, unique("id"), { updatedAt: START - 1 })] });
      const newest = [...all].reverse();
      await eventually(() => store.alerts({ device }), newest);
      assert.deepEqual(await store.alerts({ device, limit: 2 }), newest.slice(0, 2));
      const firing = newest.filter((row) => row.state === "firing");
      assert.deepEqual(await store.alerts({ device, state: "firing" }), firing);
      assert.deepEqual(await store.alerts({ device, state: "firing", limit: 1 }), firing.slice(0, 1));
      await eventually(async () => {
        const rows = await store.alerts({ state: "firing", limit: 100_000 });
        assert.ok(rows.every((row, i) => i === 0 || row.updatedAt <= rows[i - 1]!.updatedAt));
        return rows.filter((row) => row.device === device || row.device === other).map((row) => row.device);
      }, [device, device, device, other]);
      assert.equal((await store.alerts({ limit: 3 })).length, 3);
    });

    it("keeps free text as it is", async () => {
      const texts = [
        "a, b=c",
        'say "hot"',
        "two\nlines",
        "tab\tand\rreturn",
        "back\\slash",
        "ends in \\",
        "🔥 è",
        "'; --",
      ];
      const device = unique("text");
      const alerts = texts.map((text, i) => {
        return alert(device, unique("id"), {
          rule: text,
          summary: text,
          detector: text,
          updatedAt: START + i,
        });
      });
      await write({ alerts });
      await eventually(() => store.alerts({ device }), [...alerts].reverse());
    });

    it("lists devices by name with their latest values", async () => {
      const prefix = unique("device");
      const mine = async () => (await store.devices()).filter(({ device }) => device.startsWith(prefix));
      const rows = ["a", "b", "c"].map((suffix) => summary(prefix + suffix));
      await write({ devices: [...rows].reverse() });
      await eventually(mine, rows);
      const latest = { temperature: 0.1 + 0.2, "odd.name:x-y_z": -1e-300 };
      const changed = {
        device: `${prefix}b`,
        lastTs: START - 1,
        lastIngestTs: 1,
        readings: 2 ** 53 - 1,
        latest,
      };
      await write({ devices: [changed] });
      await eventually(mine, [rows[0], changed, rows[2]]);
    });

    it("stores large batches whole", async () => {
      const device = unique("large");
      const rollups = Array.from({ length: 5_000 }, (_, i) => {
        return rollup(device, { start: START + i * SIZE_MS, sum: i / 3 });
      });
      await write({ rollups });
      await eventually(() => series(device, START, START + 5_000 * SIZE_MS), rollups);
    });

    it("takes concurrent writes", async () => {
      const devices = Array.from({ length: 8 }, () => unique("concurrent"));
      const ids = devices.map(() => unique("id"));
      await Promise.all(
        devices.map((device, i) =>
          write({
            rollups: Array.from({ length: 100 }, (_, n) =>
              rollup(device, { start: START + n * SIZE_MS, sum: n }),
            ),
            alerts: [alert(device, ids[i]!)],
            devices: [summary(device)],
          }),
        ),
      );
      for (const [i, device] of devices.entries()) {
        await eventually(async () => (await series(device)).map(({ sum }) => sum), [...Array(100).keys()]);
        await eventually(async () => (await store.alerts({ device })).map(({ id }) => id), [ids[i]]);
      }
    });

    it("takes an empty batch, and answers for names it never saw", async () => {
      await write(EMPTY);
      assert.deepEqual(await series(unique("never")), []);
      assert.deepEqual(await store.alerts({ device: unique("never") }), []);
    });

    it("checks that it is there", () => store.check());
  });
}

export function summary(device: string, change: Partial<DeviceSummary> = {}): DeviceSummary {
  return {
    device,
    lastTs: START,
    lastIngestTs: START + 5,
    readings: 7,
    latest: { temperature: 21.5 },
    ...change,
  };
}

/** A name that no other test uses, 16 characters and `stem` long. */
export function unique(stem: string): string {
  return `${stem}-${randomBytes(8).toString("hex").slice(0, 15)}`;
}

/** Reads until the result is `expected`; fails with the difference when that takes too long. */
export async function eventually<T>(read: () => Promise<T>, expected: T): Promise<void> {
  const deadline = performance.now() + VISIBLE_LIMIT_MS;
  for (;;) {
    const actual = await read();
    try {
      assert.deepEqual(positiveZeros(actual), positiveZeros(expected));
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** A store may turn -0 into 0. */
function positiveZeros(value: unknown): unknown {
  if (typeof value === "number") return value === 0 ? 0 : value;
  if (Array.isArray(value)) return value.map(positiveZeros);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, positiveZeros(field)]));
}
