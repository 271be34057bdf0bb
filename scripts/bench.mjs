// Runs the benches (dist/bench/*.js) one after the other. --only NAME (may be repeated) runs some of them,
// --json prints one JSON document on stdout instead of tables.
import { spawnSync } from "node:child_process";
import { cpus, loadavg, release, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** In the order they are run; `text` for one that only prints a table. */
const BENCHES = {
  ingest: {},
  processor: {},
  "state-size": {},
  "log-engines": { text: true },
};

function options() {
  try {
    const { values } = parseArgs({
      options: { only: { type: "string", multiple: true }, json: { type: "boolean", default: false } },
    });
    const names = values.only ?? Object.keys(BENCHES);
    const unknown = names.find((name) => !Object.hasOwn(BENCHES, name));
    if (unknown !== undefined)
      throw new Error(`--only ${unknown}: there are ${Object.keys(BENCHES).join(", ")}`);
    return { names, json: values.json };
  } catch (error) {
    console.error(`bench: ${error.message}`);
    process.exit(2);
  }
}

/** The report as an object, or undefined when it was printed. */
function run(name, json) {
  const asText = BENCHES[name].text === true;
  const file = join(root, "dist/bench", `${name}.js`);
  const bench = spawnSync(process.execPath, [file, ...(json && !asText ? ["--json"] : [])], {
    stdio: ["ignore", json ? "pipe" : "inherit", "inherit"],
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  if (bench.status !== 0) {
    console.error(`bench: ${name} failed (${bench.error?.message ?? `exit code ${bench.status}`})`);
    process.exit(1);
  }
  if (!json) return undefined;
  return asText ? { text: bench.stdout } : JSON.parse(bench.stdout);
}

const load = () => loadavg().map((average) => Number(average.toFixed(2)));
const { names, json } = options();
const machine = {
  cpu: cpus()[0]?.model.trim() ?? "unknown",
  cores: cpus().length,
  memoryGiB: Number((totalmem() / 1024 ** 3).toFixed(1)),
  os: `${process.platform} ${release()} ${process.arch}`,
  node: process.version,
};
if (!json)
  console.log(
    `${machine.cores} x ${machine.cpu}, ${machine.memoryGiB} GiB, ${machine.os}, Node ${machine.node}`,
  );
const benches = {};
for (const name of names) {
  const loadBefore = load();
  if (!json) console.log(`\n== ${name} (load average ${loadBefore.join(" ")})`);
  benches[name] = { loadBefore, ...run(name, json), loadAfter: load() };
}
if (json) console.log(JSON.stringify({ machine, benches }, null, 2));
else console.log(`\nload average ${load().join(" ")}; on a shared machine trust the ratios, not the rates`);
