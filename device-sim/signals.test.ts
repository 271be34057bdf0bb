import assert from "node:assert/strict";
import { test } from "node:test";
import { ANOMALY_KINDS, planAnomalies, withAnomalies } from "./anomalies.js";
import { Random } from "./random.js";
import { createSignals, METRICS } from "./signals.js";

test("the generator gives the published sequence of xoshiro128**", () => {
  const random = new Random([1, 2, 3, 4]);
  // The reference values of the rand_xoshiro crate for the C original.
  const published = [
    11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
  ];
  assert.deepEqual(
    published.map(() => random.uint32()),
    published,
  );
});

test("signals have known values: a change here changes every recorded fleet", () => {
  const known: [seed: number, device: number, ts: number, values: number[]][] = [
    [1, 0, 1732350000000, [25.05, 50.4, 1.341, 56.28, 119599451]],
    [1, 0, 1732350001000, [25.53, 51.6, 1.3378, 56.27, 119599455]],
    [1, 7, 1732350000000, [16.15, 43.1, 0.9732, 11.79, 92876966]],
    [42, 0, 1732389000000, [18.73, 44.3, 0.8559, 89.94, 52476138]],
  ];
  for (const [seed, device, ts, values] of known) {
    const signals = createSignals(seed, device);
    assert.deepEqual(
      METRICS.map((metric) => signals(metric, ts)),
      values,
    );
  }
});

test("a signal depends on nothing but seed, device and time", () => {
  const times = Array.from({ length: 500 }, (_, i) => 1732350000000 + i * 777);
  const forward = createSignals(9, 3);
  const inOrder = times.map((ts) => METRICS.map((metric) => forward(metric, ts)));
  const backward = createSignals(9, 3);
  const reversed = times.toReversed().map((ts) => METRICS.map((metric) => backward(metric, ts)));
  assert.deepEqual(reversed.toReversed(), inOrder);
});

test("values stay in their physical range, counters never fall, batteries drain", () => {
  for (let device = 0; device < 20; device++) {
    const signals = createSignals(5, device);
    let counter = 0;
    for (let hour = 0; hour < 24 * 14; hour++) {
      const ts = 1732320000000 + hour * 3_600_000;
      const [temperature, humidity, vibration, battery] = METRICS.map((metric) => signals(metric, ts)) as [
        number,
        number,
        number,
        number,
      ];
      assert.ok(temperature > 5 && temperature < 40, `temperature ${temperature}`);
      assert.ok(humidity >= 0 && humidity <= 100, `humidity ${humidity}`);
      assert.ok(vibration > 0 && vibration < 3, `vibration ${vibration}`);
      assert.ok(battery > 5 && battery < 101, `battery ${battery}`);
      assert.ok(signals("counter", ts)! >= counter);
      counter = signals("counter", ts)!;
    }
  }
});

const PLAN = {
  seed: 4,
  devices: 2 * ANOMALY_KINDS.length,
  kinds: ANOMALY_KINDS,
  from: 1_000_000,
  to: 2_000_000,
  stepMs: 1_000,
};

test("anomalies are planned alike for a seed, inside the run, each kind in turn", () => {
  const events = planAnomalies(PLAN);
  assert.deepEqual(planAnomalies(PLAN), events);
  assert.deepEqual(
    events.map(({ kind }) => kind),
    [...ANOMALY_KINDS, ...ANOMALY_KINDS],
  );
  for (const { from, to } of events) assert.ok(from >= 1_500_000 && from < to && to <= 2_000_000);
});

test("an anomaly changes its metric in its interval as its kind says, and nothing else", () => {
  for (const event of planAnomalies(PLAN)) {
    const healthy = createSignals(PLAN.seed, event.device);
    const values = withAnomalies(healthy, [event]);
    for (let ts = PLAN.from; ts < PLAN.to; ts += PLAN.stepMs) {
      for (const metric of METRICS) {
        const inside = metric === event.metric && ts >= event.from && ts < event.to;
        if (!inside) assert.equal(values(metric, ts), healthy(metric, ts));
      }
    }
    const last = event.to - 1;
    const added = (values(event.metric, last) ?? Number.NaN) - healthy(event.metric, last)!;
    if (event.kind === "dropout") assert.equal(values(event.metric, last), undefined);
    else if (event.kind === "flat_line")
      assert.equal(values(event.metric, last), healthy(event.metric, event.from));
    else if (event.kind === "noise_burst")
      assert.ok(added !== 0 && Math.abs(added) <= event.magnitude, `noise_burst: ${added}`);
    else assert.ok(Math.abs(added - event.magnitude) < event.magnitude * 0.01, `${event.kind}: ${added}`);
  }
});

test("a spike hits exactly one reading", () => {
  const event = planAnomalies(PLAN).find(({ kind }) => kind === "spike")!;
  for (const phase of [0, 1, 499, 999]) {
    const times = Array.from({ length: 1_000 }, (_, i) => PLAN.from + phase + i * PLAN.stepMs);
    assert.equal(times.filter((ts) => ts >= event.from && ts < event.to).length, 1);
  }
});
