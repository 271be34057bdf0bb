/** Starts a real Kafka: one node, or three with replication factor 3. */
import { integerFlag, main, progress } from "../lib/cli.mjs";
import { UsageError } from "../lib/errors.mjs";
import { bringUp, printState } from "../lib/server.mjs";
import { kafkaVersion } from "./broker.mjs";
import { startCluster } from "./cluster.mjs";
import { installKafka } from "./install.mjs";

const usage = `usage: deploy/kafka/up [--nodes 1|3] [--dir DIR] [--port N] [--json]
  --nodes  1 (default), or 3: replication factor 3, min.insync.replicas 2
  --dir    keeps the data there; a second start continues with it (default: a temporary folder, removed by down)
  --port   port of the first broker, the others follow (default: free ports)
  --json   prints the content of server.json`;

const options = {
  nodes: { type: "string" },
  dir: { type: "string" },
  port: { type: "string" },
  json: { type: "boolean" },
};

await main({ usage, options }, async (flags, positionals) => {
  if (positionals.length > 0) throw new UsageError(`unexpected argument "${positionals[0]}"`);
  const size = integerFlag(flags.nodes, "--nodes", { min: 1, max: 3 });
  if (size === 2) throw new UsageError("--nodes is 1 or 3: two nodes cannot outvote a lost one");
  const firstPort = integerFlag(flags.port, "--port", { min: 1, max: 65_533 });
  const program = await installKafka();
  const spec = { server: "kafka", version: kafkaVersion, dir: flags.dir };
  const state = await bringUp(spec, (dir, previous) => {
    progress(`starting Kafka in ${dir}`);
    return startCluster(program, { dir, previous, size, firstPort });
  });
  printState(state, flags.json, [
    `Kafka ${state.version} is up: ${state.brokers.join(",")}`,
    `folder: ${state.dir}`,
    `stop it: deploy/kafka/down ${state.dir}`,
  ]);
});
