/**
 * Whatever alerts, silences and inhibitions come: who ought to be told is told in time, and nobody else is.
 *
 * The oracle knows neither groups nor flushes: it asks of each alert when it fired and was not kept back.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Alert } from "../../contracts/alert.js";
import { CoreHarness, firing, HOUR, MINUTE, resolved, SECOND, T0 } from "../testing/support.js";

const WAIT_MS = 30 * SECOND;
const INTERVAL_MS = 5 * MINUTE;
const PARTS = {
  inhibit_rules: [{ source: { rule: "offline" }, target: { rule: "r*" }, equal: ["device"] }],
  route: { receiver: "ops", group_wait: WAIT_MS, group_interval: INTERVAL_MS, repeat_interval: "100d" },
};

const episode = fc.record({
  rule: fc.constantFrom("r1", "r2", "offline"),
  device: fc.constantFrom("d1", "d2", "d3"),
  at: fc.integer({ min: 0, max: 2 * HOUR }),
  lastsMs: fc.integer({ min: 1, max: HOUR }),
});
const silence = fc.record({
  device: fc.constantFrom("d1", "d?", "d3"),
  rule: fc.constantFrom("r1", "*"),
  at: fc.integer({ min: 0, max: 2 * HOUR }),
  delayMs: fc.integer({ min: 0, max: 10 * MINUTE }),
  lastsMs: fc.integer({ min: 1, max: HOUR }),
});

interface Span {
  alert: Alert;
  from: number;
  to: number;
}
interface Quiet {
  covers: (alert: Alert) => boolean;
  from: number;
  to: number;
}

/** Whether `alert`, which fires at `now`, is to be kept back. */
function isKeptBack(alert: Alert, now: number, spans: readonly Span[], quiets: readonly Quiet[]): boolean {
  const fires = (span: Span) => span.from <= now && now < span.to;
  const isInhibited =
    alert.rule !== "offline" &&
    spans.some((span) => span.alert.rule === "offline" && span.alert.device === alert.device && fires(span));
  return isInhibited || quiets.some(({ covers, from, to }) => from <= now && now < to && covers(alert));
}

test("every alert that is not kept back is told within group_wait + group_interval, and no other is", () => {
  fc.assert(
    fc.property(
      fc.array(episode, { maxLength: 25 }),
      fc.array(silence, { maxLength: 6 }),
      (episodes, silences) => {
        const core = new CoreHarness(PARTS);
        const { spans, quiets } = play(core, episodes, silences);
        const moments = [...spans, ...quiets].flatMap(({ from, to }) => [from, to]);
        for (const { alert, from, to } of spans) {
          const told = core.sent.filter(({ alerts }) => alerts.some(({ id }) => id === alert.id));
          for (const start of moments.filter((moment) => moment >= from && moment < to)) {
            const deadline = start + WAIT_MS + INTERVAL_MS;
            const within = [start, ...moments.filter((moment) => moment > start && moment <= deadline)];
            if (within.some((moment) => isKeptBack(alert, moment, spans, quiets))) continue;
            assert.ok(
              told.some(({ createdAt }) => createdAt <= deadline),
              `${alert.rule} ${alert.device} was not told`,
            );
          }
          for (const { alerts, createdAt } of told) {
            if (alerts.find(({ id }) => id === alert.id)!.state !== "firing") continue;
            assert.ok(
              !isKeptBack(alert, createdAt, spans, quiets),
              `${alert.rule} ${alert.device} was told while kept back`,
            );
          }
          const ends = told.filter(({ alerts }) =>
            alerts.some(({ id, state }) => id === alert.id && state === "resolved"),
          );
          assert.ok(ends.length <= 1, "an end was told twice");
          if (told.some(({ status }) => status === "firing") && ends.length === 0)
            assert.ok(
              !told.some(({ alerts }) =>
                alerts.some(({ id, state }) => id === alert.id && state === "firing"),
              ),
            );
        }
        assert.equal(new Set(core.sent.map(({ id }) => id)).size, core.sent.length);
        const gaps = core.sent.map(({ groupKey, createdAt }, i) => {
          const next = core.sent.slice(i + 1).find((other) => other.groupKey === groupKey);
          return next ? next.createdAt - createdAt : INTERVAL_MS;
        });
        assert.ok(
          gaps.every((gap) => gap >= WAIT_MS),
          "a group was told of too often",
        );
      },
    ),
    { numRuns: 300 },
  );
});

type Values<T> = T extends fc.Arbitrary<infer V> ? V : never;

function play(core: CoreHarness, episodes: Values<typeof episode>[], silences: Values<typeof silence>[]) {
  const spans: Span[] = [];
  const quiets: Quiet[] = [];
  const moves: [at: number, move: () => void][] = [];
  for (const { rule, device, at, lastsMs } of [...episodes].sort((a, b) => a.at - b.at)) {
    const isOpen = ({ alert, to }: Span) => alert.rule === rule && alert.device === device && to >= T0 + at;
    if (spans.some(isOpen)) continue;
    const alert = firing({ rule, device, startedAt: T0 + at });
    const span = { alert, from: T0 + at, to: T0 + at + lastsMs };
    spans.push(span);
    moves.push([span.from, () => core.alert(alert)], [span.to, () => core.alert(resolved(alert, span.to))]);
  }
  silences.forEach(({ device, rule, at, delayMs, lastsMs }, i) => {
    const start = T0 + at + delayMs;
    const quiet = { start, end: start + lastsMs };
    const covers = (alert: Alert) =>
      (device === "d?" || alert.device === device) && (rule === "*" || alert.rule === rule);
    quiets.push({ covers, from: quiet.start, to: quiet.end });
    const command = {
      v: 1,
      kind: "silence",
      id: `s${i}`,
      matchers: { device, rule },
      author: "eve",
      comment: "",
    } as const;
    moves.push([T0 + at, () => core.command({ ...command, ...quiet })]);
  });
  moves.sort(([a], [b]) => a - b);
  for (const [at, move] of moves) {
    core.pass(Math.max(0, at - 1 - core.now));
    core.now = at;
    move();
  }
  core.pass(6 * HOUR);
  return { spans, quiets };
}
