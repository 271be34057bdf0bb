/**
 * The examples of docs/alert-rules.md, each run on the series given beside it, so that the page cannot be wrong.
 *
 * A `yaml` block is followed by a `text` block. Its lines: `series DEVICE METRIC every SPAN: PART, PART ...`, where a part
 * is `VALUE xN`, `wave MEAN HEIGHT period P xN` (in readings), `noise MEAN DEVIATION xN`, `ramp FROM TO xN` or `nothing xN`;
 * and what must come of it, all of it: `alert RULE DEVICE/METRIC from SPAN to SPAN` (or `from SPAN, still firing`).
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { pino } from "pino";
import { parse } from "yaml";
import { partitionForKey } from "../../adapters/log/partitioner.js";
import { readingId } from "../../contracts/reading.js";
import { TOPICS } from "../../contracts/topics.js";
import { DEFAULT_RESOLUTIONS, parseDurationMs } from "../../contracts/window.js";
import { MemoryLog, MemoryLogData } from "../../testkit/memory-log.js";
import { detectors } from "../anomaly/registry.js";
import { seededNormal } from "../anomaly/testing.js";
import { backtest } from "../backtest/run.js";
import { checkRules } from "./rules.js";
import { SILENCE } from "./silence-params.js";

/** A Thursday, 00:00 UTC: as the page says. */
const T0 = Date.UTC(2026, 0, 1);

const page = ["../../docs/alert-rules.md", "../../../docs/alert-rules.md"]
  .map((path) => new URL(path, import.meta.url))
  .find((url) => existsSync(url))!;
const examples = [
  ...readFileSync(page, "utf8").matchAll(
    /^### (.+)$|^```yaml\n([\s\S]*?)^```$\s*^```text\n([\s\S]*?)^```$/gm,
  ),
].reduce<{ title: string; rules: string; text: string }[]>((found, [, heading, rules, text]) => {
  const title = heading ?? found.at(-1)?.title ?? "";
  found.push({ title, rules: rules ?? "", text: text ?? "" });
  return found;
}, []);

interface Point {
  ts: number;
  device: string;
  metric: string;
  value: number;
}

function seriesOf(line: string): { points: Point[]; endTs: number } {
  const [, device, metric, every, parts] = /^series (\S+) (\S+) every (\S+): (.+)$/.exec(line) ?? [];
  assert.ok(parts, `cannot read: ${line}`);
  const stepMs = parseDurationMs(every!)!;
  const values = parts.split(",").flatMap((part) => valuesOf(part.trim()));
  const points = values.flatMap((value, i) =>
    value === undefined ? [] : [{ ts: T0 + i * stepMs, device: device!, metric: metric!, value }],
  );
  return { points, endTs: T0 + values.length * stepMs };
}

function valuesOf(part: string): (number | undefined)[] {
  const words = part.split(/\s+/);
  const [, times] = /^x(\d+)$/.exec(words.at(-1)!) ?? [];
  const count = times === undefined ? 1 : Number(times);
  const [kind, a, b, , period] = words;
  const made = (value: (i: number) => number | undefined) =>
    Array.from({ length: count }, (_, i) => value(i));
  if (kind === "nothing") return made(() => undefined);
  if (kind === "wave")
    return made((i) => Number(a) + Number(b) * Math.sin((2 * Math.PI * i) / Number(period)));
  if (kind === "ramp") return made((i) => Number(a) + ((Number(b) - Number(a)) * i) / count);
  if (kind === "noise") {
    const normal = seededNormal(1);
    return made(() => Number(a) + Number(b) * normal());
  }
  assert.ok(Number.isFinite(Number(kind)), `cannot read: ${part}`);
  return made(() => Number(kind));
}

async function run(rules: string, text: string): Promise<string[]> {
  const checked = checkRules((parse(rules) as { rules: unknown[] }).rules, "rules");
  assert.equal(checked.problems, undefined);
  const series = text.split("\n").flatMap((line) => (line.startsWith("series") ? [seriesOf(line)] : []));
  const points = series.flatMap((one) => one.points).sort((a, b) => a.ts - b.ts);
  const log = new MemoryLog(new MemoryLogData(), partitionForKey);
  await log.ensureTopics(Object.values(TOPICS).map((name) => ({ name, partitions: 1 })));
  await log.append(
    TOPICS.readings,
    points.map(({ ts, device, metric, value }) => {
      const body = { deviceId: device, ts, values: { [metric]: value } };
      const reading = { v: 1, id: readingId(body, ""), ingestTs: ts, ...body };
      return { key: device, value: Buffer.from(JSON.stringify(reading)), timestamp: ts };
    }),
  );
  const { alerts } = await backtest({
    ...{ log, logger: pino({ level: "silent" }), rules: checked.rules! },
    ranges: [{ partition: 0, from: 0, to: points.length }],
    ...{ fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, nowMs: Math.max(...series.map(({ endTs }) => endTs)) },
    ...{ resolutions: DEFAULT_RESOLUTIONS, allowedLatenessMs: 600_000 },
  });
  return alerts.map(({ rule, device, metric, startedAt, resolvedAt }) => {
    const end = resolvedAt === undefined ? ", still firing" : ` to ${minutes(resolvedAt)}`;
    return `alert ${rule} ${device}/${metric} from ${minutes(startedAt)}${end}`;
  });
}

function minutes(ts: number): string {
  const seconds = (ts - T0) / 1_000;
  return seconds % 60 === 0 ? `${seconds / 60}m` : `${seconds}s`;
}

const tested = examples.filter(({ rules }) => rules !== "");

for (const [i, { title, rules, text }] of tested.entries()) {
  test(`docs/alert-rules.md, example ${i + 1}: ${title}`, async () => {
    const expected = text.split("\n").filter((line) => line.startsWith("alert "));
    assert.deepEqual(await run(rules, text), expected);
  });
}

test("every example of the page is run, and every detector has one", () => {
  const blocks = readFileSync(page, "utf8").match(/^```yaml$/gm) ?? [];
  assert.equal(tested.length, blocks.length);
  const shown = tested.flatMap(({ rules }) => checkRules(parse(rules).rules, "rules").rules ?? []);
  for (const name of [...Object.keys(detectors), SILENCE])
    assert.ok(
      shown.some(({ detector }) => detector === name),
      name,
    );
});
