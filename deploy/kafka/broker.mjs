/**
 * One Kafka node: its settings, formatting its storage, starting it, and telling when it serves.
 * Every node is broker and KRaft controller at once, and listens on the loopback interface only.
 */
import { existsSync } from "node:fs";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { logFile, startProcess, waitUntilReady } from "../lib/process.mjs";
import { capture } from "../lib/tools.mjs";
import { findCoordinator, metadata, validateTopicCreation } from "./wire.mjs";

export const kafkaVersion = "4.4.0";
const readyLimitMs = 120_000;
const here = fileURLToPath(new URL(".", import.meta.url));

/**
 * @typedef {{id: number, port: number, controllerPort: number}} Node
 * @typedef {{classPath: string, archive?: string, archiveToWrite?: string}} Program the archive holds loaded classes:
 *   with it, a start takes about half the time
 * @typedef {{dir: string, clusterId: string, nodes: Node[]}} Cluster
 */

/** @param {number} id */
export const nodeName = (id) => `node-${id}`;

/** @param {Cluster} cluster @param {Node} node */
const nodeDir = (cluster, node) => join(cluster.dir, nodeName(node.id));
/** @param {Cluster} cluster @param {Node} node */
const propertiesFile = (cluster, node) => join(nodeDir(cluster, node), "server.properties");

/** @param {Cluster} cluster @param {Node} node */
function properties(cluster, node) {
  const size = cluster.nodes.length;
  const minInSync = size > 1 ? 2 : 1;
  const internalPartitions = 8;
  return {
    "node.id": node.id,
    "process.roles": "broker,controller",
    listeners: `PLAINTEXT://127.0.0.1:${node.port},CONTROLLER://127.0.0.1:${node.controllerPort}`,
    "advertised.listeners": `PLAINTEXT://127.0.0.1:${node.port}`,
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "controller.quorum.voters": cluster.nodes.map((n) => `${n.id}@127.0.0.1:${n.controllerPort}`).join(","),
    "log.dirs": join(nodeDir(cluster, node), "data"),
    "auto.create.topics.enable": false,
    "default.replication.factor": size,
    "min.insync.replicas": minInSync,
    "offsets.topic.replication.factor": size,
    "offsets.topic.num.partitions": internalPartitions,
    "transaction.state.log.replication.factor": size,
    "transaction.state.log.min.isr": minInSync,
    "transaction.state.log.num.partitions": internalPartitions,
    "share.coordinator.state.topic.replication.factor": size,
    "share.coordinator.state.topic.min.isr": minInSync,
    "share.coordinator.state.topic.num.partitions": internalPartitions,
    // A group starts with its first member instead of waiting for more, and may use short sessions.
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    // A killed node is noticed sooner than after the usual 9 s.
    "broker.session.timeout.ms": 6000,
    "broker.heartbeat.interval.ms": 1000,
    // Sized for a small heap: the cleaner alone would take 128 MB of it.
    "log.cleaner.dedupe.buffer.size": 8 << 20,
    "num.network.threads": 2,
    "num.io.threads": 4,
  };
}

/**
 * Writes the settings of every node and formats storage that is not formatted yet.
 * @param {Program} program
 * @param {Cluster} cluster
 */
export async function prepareNodes(program, cluster) {
  await cp(join(here, "log4j2.xml"), join(cluster.dir, "log4j2.xml"));
  await Promise.all(cluster.nodes.map((node) => prepareNode(program, cluster, node)));
}

/** @param {Program} program @param {Cluster} cluster @param {Node} node */
async function prepareNode(program, cluster, node) {
  await mkdir(nodeDir(cluster, node), { recursive: true });
  const lines = Object.entries(properties(cluster, node)).map(([key, value]) => `${key}=${value}\n`);
  await writeFile(propertiesFile(cluster, node), lines.join(""));
  if (existsSync(join(nodeDir(cluster, node), "data", "meta.properties"))) return;
  const format = ["format", "--cluster-id", cluster.clusterId, "--config", propertiesFile(cluster, node)];
  const jvm = ["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
  await capture("java", [...jvm, ...javaArgs(program, cluster), "kafka.tools.StorageTool", ...format]);
}

/** @param {Program} program @param {Cluster} cluster */
const javaArgs = ({ classPath, archive }, cluster) => [
  ...(archive ? [`-XX:SharedArchiveFile=${archive}`] : []),
  `-Dlog4j2.configurationFile=${join(cluster.dir, "log4j2.xml")}`,
  "-cp",
  classPath,
];

/**
 * @param {Program} program
 * @param {Cluster} cluster
 * @param {Node} node
 * @returns {Promise<number>} the pid; the node is not ready yet
 */
export function startNode(program, cluster, node) {
  const jvm = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true"];
  if (program.archiveToWrite) jvm.push(`-XX:ArchiveClassesAtExit=${program.archiveToWrite}`);
  return startProcess({
    dir: cluster.dir,
    name: nodeName(node.id),
    command: "java",
    args: [...jvm, ...javaArgs(program, cluster), "kafka.Kafka", propertiesFile(cluster, node)],
  });
}

/**
 * Waits until this node serves requests and counts as alive, together with `aliveNodes` nodes in all.
 * @param {Cluster} cluster
 * @param {Node} node
 * @param {number} aliveNodes
 */
export function nodeReady(cluster, node, aliveNodes) {
  return waitUntilReady({ dir: cluster.dir, name: nodeName(node.id), limitMs: readyLimitMs }, async () => {
    const { nodeIds } = await metadata(node.port);
    if (!nodeIds.includes(node.id) || nodeIds.length < aliveNodes) {
      throw new Error(`node ${node.id} sees only nodes [${nodeIds}] alive`);
    }
    await validateTopicCreation(node.port, aliveNodes);
    return true;
  });
}

/** Waits until consumer groups and transactions can start at once. @param {Cluster} cluster */
export function coordinatorsReady(cluster) {
  const [node] = cluster.nodes;
  return waitUntilReady({ dir: cluster.dir, name: nodeName(node.id), limitMs: readyLimitMs }, async () => {
    await findCoordinator(node.port, "group");
    await findCoordinator(node.port, "transaction");
    return true;
  });
}

/** @param {Cluster} cluster @param {Node} node @param {number} pid What `server.json` says about a node. */
export function describeNode(cluster, node, pid) {
  return { ...node, pid, log: logFile(cluster.dir, nodeName(node.id)) };
}
