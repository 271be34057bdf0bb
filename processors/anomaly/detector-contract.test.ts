/** What every detector kind promises, run over every kind in the registry. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Packr, pack, Unpackr } from "msgpackr";
import { ALARM_SCORE, type Detector, type DetectorSnapshot } from "./detector.js";
import { detectors } from "./registry.js";
import { seededUniform } from "./testing.js";

const MINUTE_MS = 60_000;
const MAX_STATE_BYTES = 16 * 1024;

/** Params for the kinds that cannot work without a bound from the user; the rest run on their defaults. */
const REQUIRED: Record<string, unknown> = {
  range: { above: 3, below: -3 },
  "rate-of-change": { perSecond: 0.5 },
};

interface Reading {
  ts: number;
  value: number;
}

/** Daily wave, noise, a spike, a stuck stretch and a new level, five minutes apart. */
function busySeries(length: number): Reading[] {
  const next = seededUniform(7);
  const out: Reading[] = [];
  for (let i = 0; i < length; i++) {
    let value = Math.sin((i / 288) * 2 * Math.PI) + 0.2 * (next() + next() - 1);
    if (i === 900) value += 9;
    if (i >= 1200 && i < 1260) value = out[1199]!.value;
    if (i >= 1500) value += 5;
    out.push({ ts: 1.7e12 + i * 5 * MINUTE_MS, value });
  }
  return out;
}

function series(values: number[], stepMs = MINUTE_MS): Reading[] {
  return values.map((value, i) => ({ ts: 1.7e12 + i * stepMs, value }));
}

const next = seededUniform(11);
const SERIES: Record<string, Reading[]> = {
  busy: busySeries(2000),
  constant: series(new Array(500).fill(21.5)),
  "constant, then one step": series([...new Array(400).fill(0), ...new Array(400).fill(1)]),
  single: series([3]),
  "two values at one time": series([1, 2], 0),
  "irregular spacing": Array.from({ length: 1000 }, (_, i) => ({
    ts: 1.7e12 + Math.floor(i ** 2.2) * 100,
    value: next(),
  })),
  "all at one time": series(
    Array.from({ length: 300 }, () => next()),
    0,
  ),
  "before 1970": Array.from({ length: 300 }, (_, i) => ({ ts: -1e10 + i * MINUTE_MS, value: next() })),
  extremes: series(
    Array.from({ length: 400 }, (_, i) => [1e308, -1e308, 0, -0, 5e-324, 1, -1.7976931348623157e308][i % 7]!),
  ),
  "one extreme": series(
    Array.from({ length: 600 }, (_, i) => (i === 300 ? -1.7976931348623157e308 : next())),
  ),
  "negative zero": series(Array.from({ length: 300 }, (_, i) => (i % 2 ? 0 : -0))),
  tiny: series(Array.from({ length: 300 }, () => next() * 1e-310)),
  "not finite": series(
    Array.from(
      { length: 300 },
      (_, i) => [1, Number.NaN, 2, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY][i % 5]!,
    ),
  ),
};

const packr = new Packr({ structuredClone: true });
const unpackr = new Unpackr({ structuredClone: true });
const stored = (snapshot: DetectorSnapshot): DetectorSnapshot =>
  unpackr.unpack(packr.pack(snapshot)) as DetectorSnapshot;

/** Every field of every verdict, as bits, so that NaN and -0 would differ. */
function trace(detector: Detector, readings: Reading[]): string[] {
  return readings.map(({ ts, value }) => {
    const { score, expected, lower, upper } = detector.step(ts, value);
    return [score, expected, lower, upper].map((x) => (Object.is(x, -0) ? "-0" : String(x))).join(" ");
  });
}

for (const kind of Object.values(detectors)) {
  const params = REQUIRED[kind.name] ?? {};
  const create = (): Detector => kind.create(params);

  describe(`detector ${kind.name}`, () => {
    for (const [name, readings] of Object.entries(SERIES)) {
      it(`scores 0..1 and never NaN: ${name}`, () => {
        const detector = create();
        for (const { ts, value } of readings) {
          const { score, expected, lower, upper } = detector.step(ts, value);
          assert.ok(score >= 0 && score <= 1, `score ${score} at ${value}`);
          for (const x of [expected, lower, upper])
            assert.ok(x === undefined || !Number.isNaN(x), `${x} at ${value}`);
          if (lower !== undefined && upper !== undefined) assert.ok(lower <= upper, `${lower}..${upper}`);
        }
      });

      it(`alarms exactly outside the band it reports: ${name}`, () => {
        const detector = create();
        for (const { ts, value } of readings) {
          const { score, lower, upper } = detector.step(ts, value);
          if (lower === undefined && upper === undefined) continue;
          const outside =
            value < (lower ?? Number.NEGATIVE_INFINITY) || value > (upper ?? Number.POSITIVE_INFINITY);
          const slack = 1e-9;
          if (Math.abs(score - ALARM_SCORE) > slack && Math.abs(value) < 1e100)
            assert.equal(outside, score >= ALARM_SCORE, `${value} in ${lower}..${upper}: ${score}`);
        }
      });

      it(`continues bit for bit from a stored snapshot: ${name}`, () => {
        const whole = trace(create(), readings);
        for (const share of [0, 0.1, 0.5, 0.7, 1]) {
          const cut = Math.floor(readings.length * share);
          const first = create();
          const head = trace(first, readings.slice(0, cut));
          const snapshot = first.save();
          trace(first, readings.slice(cut)); // a snapshot shares nothing with its detector
          assert.deepEqual(
            [...head, ...trace(kind.load(params, stored(snapshot)), readings.slice(cut))],
            whole,
            `cut at ${cut}`,
          );
        }
      });
    }

    it("gives a prefix the prefix of the scores", () => {
      const readings = SERIES.busy!;
      const whole = trace(create(), readings);
      for (const length of [1, 60, 901, 1501])
        assert.deepEqual(trace(create(), readings.slice(0, length)), whole.slice(0, length));
    });

    it("ignores readings that are not finite", () => {
      const readings = SERIES.busy!;
      const detector = create();
      const scores = readings.map(({ ts, value }) => {
        for (const bad of [Number.NaN, Number.POSITIVE_INFINITY])
          assert.equal(detector.step(ts, bad).score, 0);
        return detector.step(ts, value).score;
      });
      const clean = create();
      assert.deepEqual(
        scores,
        readings.map(({ ts, value }) => clean.step(ts, value).score),
      );
    });

    it("keeps its state within 16 KiB", () => {
      const detector = create();
      trace(detector, SERIES["irregular spacing"]!);
      const calm = pack(detector.save()).byteLength;
      trace(detector, series(Array.from({ length: 20_000 }, (_, i) => Math.sin(i * i) * i)));
      const bytes = packr.pack(detector.save()).byteLength;
      assert.ok(Math.max(calm, bytes) <= MAX_STATE_BYTES, `${bytes} bytes`);
    });

    it("does not alarm at a constant or single reading", () => {
      for (const name of ["constant", "single"]) {
        const detector = create();
        if (kind.name === "flat-line" || REQUIRED[kind.name]) continue;
        for (const { ts, value } of SERIES[name]!) assert.ok(detector.step(ts, value).score < ALARM_SCORE);
      }
    });

    it("refuses the snapshot of another kind", () => {
      const snapshot = { ...create().save(), kind: "other" };
      assert.throws(() => kind.load(params, snapshot), RangeError);
    });
  });
}
