// Long runs of real processes under random faults: npm run torture -- --minutes N [--kafka] [--seed N] [--json].
// Prints what was done to them and what was checked; exit code 1 when anything acked is missing, or counts wrong.
import { parseArgs } from "node:util";
import { torture } from "../dist/tests/e2e/torture.js";

function options() {
  try {
    const { values } = parseArgs({
      options: {
        minutes: { type: "string", default: "5" },
        seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
        kafka: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
      },
    });
    const minutes = Number(values.minutes);
    const seed = Number(values.seed);
    if (!(minutes > 0)) throw new Error(`--minutes: ${values.minutes} is not a positive number`);
    if (!Number.isSafeInteger(seed) || seed < 0)
      throw new Error(`--seed: ${values.seed} is not a whole number`);
    return { minutes, seed, kafka: values.kafka, json: values.json };
  } catch (error) {
    console.error(`torture: ${error.message}`);
    process.exit(2);
  }
}

function table(title, rows) {
  const width = Math.max(...rows.map(([name]) => name.length));
  console.log(`\n${title}`);
  for (const [name, count] of rows) console.log(`  ${name.padEnd(width)}  ${String(count).padStart(9)}`);
}

const { minutes, seed, kafka, json } = options();
const mode = kafka ? "three Kafka nodes, two gateways, two processors" : "everything embedded";
console.error(`torture: ${minutes} minutes, ${mode}, seed ${seed}`);
const began = Date.now();
const onEvent = (line) =>
  console.error(`${((Date.now() - began) / 1_000).toFixed(0).padStart(5)} s  ${line}`);
const result = await torture({ minutes, seed, kafka, onEvent });
const { rounds, faults, checked, problems } = result;
if (json) {
  console.log(JSON.stringify({ minutes, seed, kafka, ...result }, null, 2));
} else {
  const injected = Object.entries(faults).sort(([a], [b]) => (a < b ? -1 : 1));
  const total = injected.reduce((sum, [, count]) => sum + count, 0);
  table("faults injected", [...injected, ["total", total]]);
  table("checked", [
    ["rounds", rounds],
    ["messages sent", checked.sent],
    ["publishes, re-sends included", checked.sends],
    ["acked", checked.acked],
    ["readings in the log", checked.readings],
    ["dead letters", checked.invalidSeen],
    ["further copies from re-sends", checked.repeats],
    ["further copies from a failing log", checked.duplicated],
    ["rollup windows compared with the ledger", checked.windows],
    ["windows compared with the log", checked.reconciled],
    ["acked and lost", checked.lost],
    ["problems", problems.length],
  ]);
  console.log(problems.length === 0 ? "\nOK: nothing acked is missing, nothing counts twice" : "\nNOT OK:");
  for (const problem of problems) console.log(`  - ${problem}`);
}
process.exit(problems.length === 0 ? 0 : 1);
