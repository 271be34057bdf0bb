/** Starts a real Kafka: one node, or three with replication factor 3. */
import { randomBytes } from "node:crypto";
import { integerFlag, main, progress } from "../lib/cli.mjs";
import { DeployError, UsageError } from "../lib/errors.mjs";
import { choosePort } from "../lib/ports.mjs";
import { runningPid } from "../lib/process.mjs";
import { bringUp, printState } from "../lib/server.mjs";
import * as broker from "./broker.mjs";

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
  const classPath = await broker.installKafka();
  const spec = { server: "kafka", version: broker.kafkaVersion, dir: flags.dir };
  const state = await bringUp(spec, (dir, previous) => start(classPath, { dir, previous, size, firstPort }));
  printState(state, flags.json, [
    `Kafka ${state.version} is up: ${state.brokers.join(",")}`,
    `folder: ${state.dir}`,
    `stop it: deploy/kafka/down ${state.dir}`,
  ]);
});

/**
 * @param {string} classPath
 * @param {{dir: string, previous: Record<string, any> | undefined, size?: number, firstPort?: number}} wanted
 */
async function start(classPath, { dir, previous, size, firstPort }) {
  if (previous && size && previous.nodes.length !== size) {
    throw new DeployError(`${dir} holds a cluster of ${previous.nodes.length} node(s), not ${size}`);
  }
  const cluster = {
    dir,
    clusterId: previous?.clusterId ?? randomBytes(16).toString("base64url"),
    nodes: await chooseNodes(previous?.nodes.length ?? size ?? 1, firstPort, previous?.nodes),
  };
  progress(`starting ${cluster.nodes.length} Kafka node(s) in ${dir}`);
  await broker.prepareNodes(classPath, cluster);
  for (const node of cluster.nodes) await broker.startNode(classPath, cluster, node);
  await Promise.all(cluster.nodes.map((node) => broker.nodeReady(cluster, node, cluster.nodes.length)));
  await broker.coordinatorsReady(cluster);
  const described = cluster.nodes.map(async (node) =>
    broker.describeNode(
      cluster,
      node,
      /** @type {number} */ (await runningPid(dir, broker.nodeName(node.id))),
    ),
  );
  return {
    brokers: cluster.nodes.map((node) => `127.0.0.1:${node.port}`),
    clusterId: cluster.clusterId,
    nodes: await Promise.all(described),
  };
}

/**
 * @param {number} size
 * @param {number | undefined} firstPort
 * @param {broker.Node[] | undefined} previous
 * @returns {Promise<broker.Node[]>}
 */
async function chooseNodes(size, firstPort, previous) {
  const nodes = [];
  for (let i = 0; i < size; i++) {
    const port = await choosePort(firstPort === undefined ? undefined : firstPort + i, previous?.[i].port);
    nodes.push({
      id: i + 1,
      port,
      controllerPort: await choosePort(undefined, previous?.[i].controllerPort),
    });
  }
  const ports = nodes.flatMap((node) => [node.port, node.controllerPort]);
  return new Set(ports).size === ports.length ? nodes : chooseNodes(size, firstPort, previous);
}
