/**
 * For tests only: a process that restores a task and commits without end, to be killed at any moment.
 *
 *     committer <brokers> <group> <topic> <entries>
 *
 * Commit n gives every entry the value n and has the offset n. Says "restored", "begun n", "committed n".
 */
import { systemClock } from "../../../../runtime/clock.js";
import { createLogger } from "../../../../runtime/logger.js";
import { EMPTY_BATCH } from "../../../store/batch.js";
import { openKafkaCheckpoints } from "../index.js";

const [brokers = "", group = "", topic = "", entries = ""] = process.argv.slice(2);
const say = (line: string) => process.stdout.write(`${line}\n`);
const checkpoints = openKafkaCheckpoints({
  brokers: brokers.split(","),
  clientId: "committer",
  clock: systemClock,
  logger: createLogger("silent"),
});
const task = { group, topic, partition: 0 };
const { offset = 0 } = await checkpoints.restore(task);
say("restored");
for (let n = offset + 1; ; n++) {
  const value = Buffer.from(String(n));
  const state = new Map(Array.from({ length: Number(entries) }, (_, i) => [`entry-${i}`, value]));
  say(`begun ${n}`);
  await checkpoints.commit(task, { offset: n, state }, EMPTY_BATCH);
  say(`committed ${n}`);
}
