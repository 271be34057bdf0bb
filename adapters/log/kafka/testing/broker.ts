/**
 * For tests only: a real broker from deploy/kafka, and what the log port cannot do to it.
 */
import { execFile, spawnSync } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import kafkajs, { type Admin } from "kafkajs";
import { repoRoot } from "../../../../testkit/repo-root.js";

const run = promisify(execFile);
const deploy = `${join(repoRoot, "deploy", "kafka")}/`;

/** Why no broker can be started here; undefined when one can. Never a reason to skip in continuous integration. */
export function missingForKafka(): string | undefined {
  if (process.env.CI === "true") return undefined;
  const missing = ["java", "mvn"].filter((tool) => spawnSync(tool, ["-version"]).status !== 0);
  return missing.length === 0 ? undefined : `SKIPPED: no Kafka without ${missing.join(" and ")}`;
}

export class TestBroker {
  readonly brokers: string[];
  readonly #dir: string;

  private constructor(dir: string, brokers: string[]) {
    this.#dir = dir;
    this.brokers = brokers;
  }

  static async start(nodes: 1 | 3 = 1): Promise<TestBroker> {
    const { stdout } = await run(`${deploy}up`, ["--json", "--nodes", String(nodes)]);
    const server = JSON.parse(stdout) as { dir: string; brokers: string[] };
    return new TestBroker(server.dir, server.brokers);
  }

  /** As in a crash: SIGKILL. */
  async kill(node = 1): Promise<void> {
    await run(`${deploy}node`, ["kill", this.#dir, String(node)]);
  }

  /** Starts a killed node again, on its old port and data. */
  async restart(node = 1): Promise<void> {
    await run(`${deploy}node`, ["start", this.#dir, String(node)]);
  }

  async stop(): Promise<void> {
    await run(`${deploy}down`, [this.#dir]);
  }
}

/** Runs `work` with an admin client. */
export async function withAdmin<T>(brokers: string[], work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = new kafkajs.Kafka({
    brokers,
    clientId: "test-admin",
    logLevel: kafkajs.logLevel.NOTHING,
  }).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

/** Deletes the records below `offset`, as retention would. */
export async function deleteBefore(
  brokers: string[],
  topic: string,
  partition: number,
  offset: number,
): Promise<void> {
  await withAdmin(brokers, async (admin) => {
    await admin.fetchTopicOffsets(topic); // loads the metadata that the deletion relies on
    await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] });
  });
}

/** The values of some settings of a topic. */
export async function topicSettings(
  brokers: string[],
  topic: string,
  names: string[],
): Promise<(string | undefined)[]> {
  return withAdmin(brokers, async (admin) => {
    const resource = { type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configNames: names };
    const { resources } = await admin.describeConfigs({ resources: [resource], includeSynonyms: false });
    const entries = resources[0]?.configEntries ?? [];
    return names.map((name) => entries.find((entry) => entry.configName === name)?.configValue);
  });
}
