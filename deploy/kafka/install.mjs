/** What a broker runs from: the jars, and an archive of its loaded classes that halves the time of a start. Both cached. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cached, mavenJars } from "../lib/cache.mjs";
import { progress } from "../lib/cli.mjs";
import { stopProcess } from "../lib/process.mjs";
import { bringDown, bringUp } from "../lib/server.mjs";
import { requireJava } from "../lib/tools.mjs";
import { kafkaVersion, nodeName } from "./broker.mjs";
import { startCluster } from "./cluster.mjs";

const pom = fileURLToPath(new URL("./pom.xml", import.meta.url));
const archiveGraceMs = 120_000;

/** @returns {Promise<import("./broker.mjs").Program>} */
export async function installKafka() {
  const java = await requireJava("to run Kafka");
  const classPath = await mavenJars(`kafka-${kafkaVersion}`, pom);
  const name = "classes.jsa";
  // An archive fits one class path and one Java.
  const entry = await cached(`kafka-${kafkaVersion}-classes`, [classPath, java], (dir) =>
    writeArchive(classPath, join(dir, name)),
  );
  const archive = join(entry, name);
  return existsSync(archive) ? { classPath, archive } : { classPath };
}

/**
 * Runs a broker once and lets Java write the archive at its end. A Java that cannot leaves none, and starts are slower.
 * @param {string} classPath
 * @param {string} archiveToWrite
 */
async function writeArchive(classPath, archiveToWrite) {
  progress("starting Kafka once to archive its classes, for faster starts");
  const spec = { server: "kafka", version: kafkaVersion };
  const { dir } = await bringUp(spec, (dir) => startCluster({ classPath, archiveToWrite }, { dir, size: 1 }));
  try {
    await stopProcess(dir, nodeName(1), archiveGraceMs);
  } finally {
    await bringDown("kafka", dir);
  }
  if (!existsSync(archiveToWrite)) progress("this Java wrote no archive: starts will be slower");
}
