/** Starts a real QuestDB with the deduplicating tables of Sluice made. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { mavenJars } from "../lib/cache.mjs";
import { integerFlag, main, progress } from "../lib/cli.mjs";
import { UsageError } from "../lib/errors.mjs";
import { choosePort } from "../lib/ports.mjs";
import { logFile, startProcess, waitUntilReady } from "../lib/process.mjs";
import { bringUp, printState } from "../lib/server.mjs";
import { requireJava } from "../lib/tools.mjs";
import { createTables } from "./schema.mjs";

const usage = `usage: deploy/questdb/up [--dir DIR] [--port N] [--json]
  --dir   keeps the data there; a second start continues with it (default: a temporary folder, removed by down)
  --port  port of HTTP: SQL, line protocol and web console (default: a free one)
  --json  prints the content of server.json`;

const options = { dir: { type: "string" }, port: { type: "string" }, json: { type: "boolean" } };
const version = "9.0.3";
const name = "questdb";
const readyLimitMs = 60_000;
const here = fileURLToPath(new URL(".", import.meta.url));

await main({ usage, options }, async (flags, positionals) => {
  if (positionals.length > 0) throw new UsageError(`unexpected argument "${positionals[0]}"`);
  const port = integerFlag(flags.port, "--port", { min: 1, max: 65_535 });
  await requireJava("to run QuestDB");
  const classPath = await mavenJars(`questdb-${version}`, join(here, "pom.xml"));
  const spec = { server: "questdb", version, dir: flags.dir };
  const state = await bringUp(spec, (dir, previous) => start(classPath, dir, previous, port));
  printState(state, flags.json, [
    `QuestDB ${state.version} is up: ${state.url}`,
    `tables: ${state.tables.join(", ")}`,
    `folder: ${state.dir}`,
    `stop it: deploy/questdb/down ${state.dir}`,
  ]);
});

/**
 * @param {string} classPath
 * @param {string} dir
 * @param {Record<string, any> | undefined} previous
 * @param {number | undefined} wantedPort
 */
async function start(classPath, dir, previous, wantedPort) {
  const port = await choosePort(wantedPort, previous?.port);
  const url = `http://127.0.0.1:${port}`;
  const root = join(dir, "root");
  progress(`starting QuestDB in ${dir}`);
  await mkdir(join(root, "conf"), { recursive: true });
  await writeFile(join(root, "conf", "server.conf"), serverConf(port));
  await writeFile(join(root, "conf", "log.conf"), logConf());
  const jvm = ["-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError"];
  const args = [...jvm, "-cp", classPath, "io.questdb.ServerMain", "-d", root];
  await startProcess({ dir, name, command: "java", args, env: cleanEnvironment() });
  await waitUntilReady({ dir, name, limitMs: readyLimitMs }, async () => (await fetch(`${url}/ping`)).ok);
  const tables = await createTables(url);
  return { port, url, tables, log: logFile(dir, name) };
}

/**
 * HTTP on the loopback interface is all that listens. The page sizes are small because QuestDB reserves them per column.
 * @param {number} port
 */
function serverConf(port) {
  return `http.net.bind.to=127.0.0.1:${port}
http.min.enabled=false
pg.enabled=false
line.tcp.enabled=false
line.udp.enabled=false
telemetry.enabled=false
metrics.enabled=false
shared.worker.count=2
cairo.writer.data.append.page.size=256k
cairo.wal.writer.data.append.page.size=256k
cairo.writer.data.index.value.append.page.size=256k
cairo.o3.column.memory.size=256k
ram.usage.limit.bytes=1g
`;
}

/** Without INFO: it has lines for every query and connection. */
function logConf() {
  return `writers=stdout
w.stdout.class=io.questdb.log.LogConsoleWriter
w.stdout.level=ADVISORY,ERROR,CRITICAL
`;
}

/** Settings of the user's own QuestDB must not leak into this one. */
function cleanEnvironment() {
  return Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith("QDB_")));
}
