/** A cluster in one folder: which nodes and ports, started together, ready when clients can work. */
import { randomBytes } from "node:crypto";
import { DeployError } from "../lib/errors.mjs";
import { choosePort } from "../lib/ports.mjs";
import { runningPid } from "../lib/process.mjs";
import * as broker from "./broker.mjs";

/**
 * Starts every node and waits until topics, groups and transactions can be used.
 * @param {broker.Program} program
 * @param {{dir: string, previous?: Record<string, any>, size?: number, firstPort?: number}} wanted
 * @returns what `server.json` says about it
 */
export async function startCluster(program, { dir, previous, size, firstPort }) {
  if (previous && size && previous.nodes.length !== size) {
    throw new DeployError(`${dir} holds a cluster of ${previous.nodes.length} node(s), not ${size}`);
  }
  const cluster = {
    dir,
    clusterId: previous?.clusterId ?? newClusterId(),
    nodes: await chooseNodes(previous?.nodes.length ?? size ?? 1, firstPort, previous?.nodes),
  };
  await broker.prepareNodes(program, cluster);
  for (const node of cluster.nodes) await broker.startNode(program, cluster, node);
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

/** 128 random bits as Kafka writes them. The storage tool would take a leading `-` for an option. */
function newClusterId() {
  const id = randomBytes(16).toString("base64url");
  return id.startsWith("-") ? `A${id.slice(1)}` : id;
}
