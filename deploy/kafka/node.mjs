/** Stops, kills or starts one node of a cluster, for fault tests. */
import { main, progress } from "../lib/cli.mjs";
import { DeployError, UsageError } from "../lib/errors.mjs";
import { runningPid, stopProcess } from "../lib/process.mjs";
import { pids, withServer, writeState } from "../lib/server.mjs";
import * as broker from "./broker.mjs";
import { installKafka } from "./install.mjs";

const usage = `usage: deploy/kafka/node stop|kill|start DIR N
  stop   SIGTERM, and waits for the end
  kill   SIGKILL, as in a crash
  start  starts node N again on its old ports and data, and waits until the cluster counts it as alive`;

await main({ usage }, async (_flags, [action, dir, id, ...rest]) => {
  if (!["stop", "kill", "start"].includes(action) || !dir || !id || rest.length > 0) {
    throw new UsageError("an action, the folder and the number of the node are needed");
  }
  await withServer("kafka", dir, async (state) => {
    const node = state.nodes.find((/** @type {broker.Node} */ n) => String(n.id) === id);
    if (!node) throw new UsageError(`there is no node ${id} in ${dir}`);
    if (action === "start") await start(state, node);
    else await stop(state, node, action === "kill");
  });
});

/** @param {import('../lib/server.mjs').ServerState} state @param {broker.Node} node @param {boolean} force */
async function stop(state, node, force) {
  const outcome = await stopProcess(state.dir, broker.nodeName(node.id), force ? 0 : undefined);
  if (outcome === "not running") throw new DeployError(`node ${node.id} is not running`);
  await record(state, node, null);
  progress(`node ${node.id} ${outcome}`);
}

/** @param {import('../lib/server.mjs').ServerState} state @param {broker.Node} node */
async function start(state, node) {
  if (await runningPid(state.dir, broker.nodeName(node.id)))
    throw new DeployError(`node ${node.id} already runs`);
  const cluster = { dir: state.dir, clusterId: state.clusterId, nodes: state.nodes };
  const pid = await broker.startNode(await installKafka(), cluster, node);
  await record(state, node, pid);
  // Alone it has no quorum and cannot serve: then its process is all there is to wait for.
  const alive = (await pids(state.dir)).length;
  if (alive > state.nodes.length / 2) await broker.nodeReady(cluster, node, alive);
  progress(`node ${node.id} started, pid ${pid}`);
}

/**
 * @param {import('../lib/server.mjs').ServerState} state
 * @param {broker.Node} node
 * @param {number | null} pid null: not running
 */
async function record(state, node, pid) {
  const nodes = state.nodes.map((/** @type {broker.Node} */ n) => (n.id === node.id ? { ...n, pid } : n));
  await writeState({ ...state, nodes, pids: await pids(state.dir) });
}
