/**
 * Judges a finished world against the plain model: INV-1 to INV-7.
 */
import assert from "node:assert/strict";
import { type Alert, alertId } from "../../contracts/alert.js";
import type { DeadLetterRecord } from "../../contracts/dead-letter.js";
import { type Rollup, rollupKey } from "../../contracts/rollup.js";
import { TOPICS } from "../../contracts/topics.js";
import { DEFAULT_RESOLUTIONS } from "../../contracts/window.js";
import { DEFAULT_LIMITS } from "../../gateway/limits.js";
import type { MemoryStateData } from "../../testkit/memory-state.js";
import { referenceRollups } from "../../testkit/reference-model.js";
import type { SentItem, SentMessage } from "./devices.js";
import { type Admissions, admissionsOf, readingsOf } from "./model.js";
import type { LostRange, World } from "./world.js";

export async function checkWorld(world: World, ledger: readonly SentMessage[]): Promise<void> {
  checkAcked(world, ledger);
  const admissions = admissionsOf(world.input());
  checkAnonymous(world, ledger);
  checkCounters(world, admissions);
  checkTopics(world, admissions);
  const stored = rows(world.state);
  assert.deepEqual(
    stored.map(exactPart),
    sortRows(referenceRollups(admissions.counted, DEFAULT_RESOLUTIONS)).map(exactPart),
    "rollups (INV-3, INV-4)",
  );
  assert.deepEqual(offsetsOf(world.reportedLost), offsetsOf(world.lost), "what retention took is told");
  // What was processed and then removed can be computed again no more.
  if (world.expired.length > 0) return;
  await checkReconcile(world, admissions);
  await checkReplay(world, stored);
}

/** Everything acked is in the log, as a reading or as a dead letter with a reason that holds. */
function checkAcked(world: World, ledger: readonly SentMessage[]): void {
  const logged = readingsOf(world.appended());
  const ids = new Set(logged.map(({ id }) => id));
  const tags = new Set(logged.map(({ deviceId, values }) => `${deviceId} ${values.tag}`));
  const letters = new Map<string, DeadLetterRecord[]>();
  for (const letter of world.deadLetters()) {
    const alike = letters.get(letter.payload);
    if (alike) alike.push(letter);
    else letters.set(letter.payload, [letter]);
  }
  const isRejected = (item: SentItem) =>
    (letters.get(Buffer.from(item.text).toString("base64")) ?? []).some(
      (letter) => item.malformed || isTooFarAhead(item, letter),
    );
  for (const { items, acked, deviceId } of ledger) {
    if (!acked) continue;
    for (const item of items) {
      const isLogged = item.id === undefined ? tags.has(`${deviceId} ${item.tag}`) : ids.has(item.id);
      assert.ok(
        (!item.malformed && isLogged) || isRejected(item),
        `acked but not in the log: ${item.text} (INV-1)`,
      );
    }
  }
}

/** A gateway whose clock was set back takes good readings for readings from the future. */
function isTooFarAhead({ text }: SentItem, { reason, ingestTs }: DeadLetterRecord): boolean {
  return reason === "ts_too_far_ahead" && JSON.parse(text).ts > ingestTs + DEFAULT_LIMITS.maxClockSkewMs;
}

/** A reading that cannot be told from a repeat counts once for each gateway run that took it; at QoS 0 at most once. */
function checkAnonymous(world: World, ledger: readonly SentMessage[]): void {
  const found = new Map<string, Set<string>>();
  for (const { id, deviceId, values } of readingsOf(world.appended())) {
    if (values.tag === undefined) continue;
    const name = `${deviceId} ${values.tag}`;
    found.set(name, (found.get(name) ?? new Set()).add(id));
  }
  for (const { items, deviceId, runs } of ledger) {
    for (const { tag } of items) {
      const times = found.get(`${deviceId} ${tag}`)?.size ?? 0;
      assert.ok(
        tag === undefined || times <= runs.size,
        `${deviceId} tag ${tag} counts ${times} times (INV-3)`,
      );
    }
  }
}

function checkCounters(world: World, { counted, duplicates, late, poison }: Admissions): void {
  const transitions = world.json<Alert>(TOPICS.alerts).filter(isTransition);
  const fired = transitions.filter(({ state }) => state === "firing").length;
  assert.deepEqual(
    world.processor!.processor.counters(),
    {
      ...{ processed: world.input().length, counted: counted.length, duplicates },
      ...{ late: late.length, poison: poison.length },
      ...{ alertsFired: fired, alertsResolved: transitions.length - fired },
    },
    "counters (INV-2)",
  );
}

/** False for a record that only corrects what an earlier one of the same state said. */
function isTransition(alert: Alert & { corrected?: true }): boolean {
  return !alert.corrected;
}

/** What must be in an output topic is there once, whatever crashed; and the store says the same. */
function checkTopics(world: World, { late, poison }: Admissions): void {
  const ids = (records: readonly { id: string }[]) => records.map(({ id }) => id).sort();
  assert.deepEqual(ids(world.late()), ids(late), "late topic, each once (INV-6)");
  const letters = world.deadLetters().filter(({ topic }) => topic === TOPICS.readings);
  assert.deepEqual(ids(letters), [...poison].sort(), "dead letters of poison records, each once (INV-2)");

  const latest = new Map<string, Alert>();
  for (const alert of world.json<Alert>(TOPICS.alerts)) {
    const { id, rule, device, metric, startedAt, state } = alert;
    assert.equal(
      id,
      alertId(rule, device, metric, startedAt),
      "an alert's id comes from its event time (INV-5)",
    );
    const before = state === "firing" ? undefined : "firing";
    if (isTransition(alert)) assert.equal(latest.get(id)?.state, before, `order of alert ${id} (INV-5)`);
    latest.set(id, alert);
  }
  assert.deepEqual(sortedMap(world.state.alerts), sortedMap(latest), "alerts of store and topic (INV-5)");

  const closed = new Map<string, Rollup>();
  for (const { v: _v, ...rollup } of world.json<Rollup & { v: 1 }>(TOPICS.rollups)) {
    const before = closed.get(rollupKey(rollup));
    if (!before || before.revision <= rollup.revision) closed.set(rollupKey(rollup), rollup);
  }
  for (const [key, rollup] of closed) {
    const stored = world.state.rollups.get(key);
    assert.deepEqual(rollup, stored, `closed rollup ${key} of store and topic (INV-5)`);
  }
}

/** Reconcile finds nothing, but for windows that late readings belong to; after a repair it finds nothing at all. */
async function checkReconcile(world: World, { late }: Admissions): Promise<void> {
  const before = topicSizes(world);
  const lateDevices = new Set(late.map((record) => record.deviceId));
  const { differences } = await world.reconcile(false);
  const unexplained = differences.filter(({ series }) => !lateDevices.has(series.split("/")[0]!));
  assert.deepEqual(unexplained, [], "reconcile (INV-7)");
  if (differences.length > 0) {
    const again = await world.withCopiedState(async () => {
      await world.reconcile(true);
      return world.reconcile(false);
    });
    assert.deepEqual(again.differences, [], "reconcile after a repair (INV-6)");
  }
  assert.deepEqual(topicSizes(world), before, "reconcile writes to no topic (INV-7)");
}

/** Runs a fresh processor over the same log, without trouble: everything must come out the same (INV-7). */
async function checkReplay(world: World, stored: Rollup[]): Promise<void> {
  const before = topicSizes(world);
  const { state } = world;
  await world.closeProcessor();
  const fresh = await world.replayed();
  assert.deepEqual(rows(fresh), stored, "replayed rollups, to the last bit (INV-7)");
  assert.deepEqual(sortedMap(fresh.alerts), sortedMap(state.alerts), "replayed alerts (INV-7)");
  assert.deepEqual(sortedMap(fresh.devices), sortedMap(state.devices), "replayed devices (INV-7)");
  const { [TOPICS.rollups]: _closed, ...exactlyOnce } = topicSizes(world);
  const { [TOPICS.rollups]: _before, ...exactlyOnceBefore } = before;
  assert.deepEqual(exactlyOnce, exactlyOnceBefore, "a rebuild repeats nothing in the topics (INV-5)");
}

function topicSizes(world: World): Record<string, number> {
  return Object.fromEntries(
    Object.values(TOPICS).map((topic) => [topic, world.logData.records(topic).length]),
  );
}

function offsetsOf(ranges: readonly LostRange[]): string[] {
  const offsets = new Set<string>();
  for (const { partition, from, to } of ranges) {
    for (let offset = from; offset < to; offset++) offsets.add(`${partition}@${offset}`);
  }
  return [...offsets].sort();
}

function sortedMap<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

function rows(state: MemoryStateData): Rollup[] {
  return sortRows([...state.rollups.values()]);
}

function sortRows(rollups: Rollup[]): Rollup[] {
  return rollups
    .map((row) => ({ row, key: rollupKey(row) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ row }) => row);
}

/** Percentiles are held to their stated error in the operator's own tests, and to the last bit by the replay. */
function exactPart({
  p50: _p50,
  p95: _p95,
  p99: _p99,
  ...exact
}: Rollup): Omit<Rollup, "p50" | "p95" | "p99"> {
  return exact;
}
