/**
 * The scripts against the real servers: each is started, does real work, is stopped, and leaves nothing behind.
 * A server whose tools are missing is skipped with a message, except under CI=true, where that is a failure.
 */
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { Kafka, logLevel } from "kafkajs";
import { repoRoot } from "../testkit/repo-root.js";

const here = join(repoRoot, "deploy");
const run = promisify(execFile);
const limitMs = 60_000;

interface Server {
  dir: string;
  pids: number[];
  url: string;
}
interface KafkaServer extends Server {
  brokers: string[];
  nodes: { id: number; port: number; pid: number | null }[];
}
interface InfluxServer extends Server {
  org: string;
  bucket: string;
  token: string;
}

/** Runs `deploy/SERVER/COMMAND` and returns its stdout; its progress is shown, for a first build takes minutes. */
async function deploy(server: string, command: string, ...args: string[]): Promise<string> {
  const running = run(join(here, server, command), args);
  running.child.stderr?.pipe(process.stderr, { end: false });
  return (await running).stdout;
}

/** Starts a server; it is stopped at the end of the test, whatever happens. */
async function up<T extends Server>(t: TestContext, server: string, ...args: string[]): Promise<T> {
  const state = JSON.parse(await deploy(server, "up", "--json", ...args)) as T;
  t.after(async () => {
    if (existsSync(join(state.dir, "server.json"))) await deploy(server, "down", state.dir);
  });
  return state;
}

/** The folder on the command line tells our process from another that was given the same pid. */
function runs(pid: number, dir: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`${dir}/`);
  } catch {
    return false;
  }
}

async function downLeavesNothing(server: string, state: Server): Promise<void> {
  assert.ok(state.pids.length > 0 && state.pids.every((pid) => runs(pid, state.dir)), "it runs before down");
  await deploy(server, "down", state.dir);
  for (const pid of state.pids) assert.equal(runs(pid, state.dir), false, `process ${pid} still runs`);
  assert.equal(existsSync(state.dir), false, "the temporary folder is still there");
}

async function eventually<T>(what: string, probe: () => Promise<T | undefined>): Promise<T> {
  for (const end = Date.now() + limitMs; Date.now() < end; await sleep(100)) {
    const found = await probe();
    if (found !== undefined) return found;
  }
  assert.fail(`not within ${limitMs / 1000} s: ${what}`);
}

/** False, and the test is skipped, when one of the programs is missing. */
function needs(t: TestContext, programs: string[]): boolean {
  const missing = programs.filter((program) => {
    try {
      execFileSync("sh", ["-c", 'command -v "$1"', "sh", program]);
      return false;
    } catch {
      return true;
    }
  });
  if (missing.length === 0) return true;
  const message = `NOT TESTED: ${t.name}: missing ${missing.join(", ")}`;
  assert.notEqual(process.env.CI, "true", message);
  console.error(message);
  t.skip(message);
  return false;
}

const java = ["java", "mvn"];

/** A node that was killed is refused until its place is taken: seconds, or more on a busy machine. */
const PATIENT = { initialRetryTime: 300, maxRetryTime: 2_000, retries: 60 };

function client(state: KafkaServer): Kafka {
  return new Kafka({
    clientId: "servers-test",
    brokers: state.brokers,
    logLevel: logLevel.NOTHING,
    retry: PATIENT,
  });
}

async function hasLeaders(state: KafkaServer, topic: string): Promise<true | undefined> {
  const admin = client(state).admin();
  await admin.connect();
  try {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    return topics.every(({ partitions }) => partitions.every(({ leader }) => leader > 0)) || undefined;
  } catch (error) {
    if ((error as { type?: string }).type === "UNKNOWN_TOPIC_OR_PARTITION") return undefined;
    throw error;
  } finally {
    await admin.disconnect();
  }
}

async function createTopic(state: KafkaServer, topic: string): Promise<void> {
  const admin = client(state).admin();
  await admin.connect();
  try {
    // Not `waitForLeaders`: kafkajs fails there when the broker it asks has not heard of the new topic yet.
    await admin.createTopics({ topics: [{ topic }], waitForLeaders: false });
    await eventually(`${topic} has leaders`, () => hasLeaders(state, topic));
  } finally {
    await admin.disconnect();
  }
}

async function produce(state: KafkaServer, topic: string, values: string[]): Promise<void> {
  const producer = client(state).producer();
  await producer.connect();
  try {
    await producer.send({ topic, acks: -1, messages: values.map((value) => ({ value })) });
  } finally {
    await producer.disconnect();
  }
}

async function consume(state: KafkaServer, topic: string, count: number): Promise<string[]> {
  const consumer = client(state).consumer({ groupId: `read-${topic}` });
  const values: string[] = [];
  await consumer.connect();
  try {
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ message }) => {
        values.push(String(message.value));
      },
    });
    await eventually(`${count} messages from ${topic}`, async () =>
      values.length >= count ? values : undefined,
    );
    return values;
  } finally {
    await consumer.disconnect();
  }
}

describe("deploy/kafka", () => {
  it("serves topics, producers and groups, and down ends it", async (t) => {
    if (!needs(t, java)) return;
    const state = await up<KafkaServer>(t, "kafka");
    await createTopic(state, "one");
    await produce(state, "one", ["a", "b", "c"]);
    assert.deepEqual(await consume(state, "one", 3), ["a", "b", "c"]);
    await assert.rejects(produce(state, "never-created", ["x"]), "topics must not come from a typing error");
    await downLeavesNothing("kafka", state);
  });

  it("with three nodes keeps acknowledged messages while one is killed and comes back", async (t) => {
    if (!needs(t, java)) return;
    const state = await up<KafkaServer>(t, "kafka", "--nodes", "3");
    await createTopic(state, "three");
    await produce(state, "three", ["before"]);
    await deploy("kafka", "node", "kill", state.dir, "2");
    assert.equal(runs(state.nodes[1]!.pid!, state.dir), false);
    await produce(state, "three", ["without node 2"]);
    await deploy("kafka", "node", "start", state.dir, "2");
    const now = JSON.parse(readFileSync(join(state.dir, "server.json"), "utf8")) as KafkaServer;
    assert.deepEqual(
      now.nodes.map((node) => runs(node.pid!, now.dir)),
      [true, true, true],
    );
    await produce(state, "three", ["after"]);
    assert.deepEqual(await consume(state, "three", 3), ["before", "without node 2", "after"]);
    await downLeavesNothing("kafka", now);
  });

  it("with --dir keeps port and data over a restart, and down leaves the folder", async (t) => {
    if (!needs(t, java)) return;
    const parent = mkdtempSync(join(tmpdir(), "sluice-servers-test-"));
    const dir = join(parent, "kafka");
    const first = await up<KafkaServer>(t, "kafka", "--dir", dir);
    // After `up`, for hooks run in this order: first the server ends, then its folder goes.
    t.after(() => rmSync(parent, { recursive: true }));
    await createTopic(first, "kept");
    await produce(first, "kept", ["a"]);
    await assert.rejects(deploy("kafka", "up", "--dir", dir), /already running/);
    await deploy("kafka", "down", "--dir", dir);
    const second = await up<KafkaServer>(t, "kafka", "--dir", dir);
    assert.deepEqual(second.brokers, first.brokers);
    assert.deepEqual(await consume(second, "kept", 1), ["a"]);
    await deploy("kafka", "down", dir);
    assert.equal(runs(second.pids[0]!, second.dir), false);
    assert.ok(existsSync(join(dir, "node-1", "data")));
  });
});

describe("deploy/influxdb", () => {
  const influxTools = ["go", "cargo", "gcc", "pkg-config"];

  it("keeps the last write of a point, and down ends it", async (t) => {
    if (!needs(t, influxTools)) return;
    const state = await up<InfluxServer>(t, "influxdb");
    const headers = { authorization: `Token ${state.token}` };
    const target = `org=${state.org}&bucket=${state.bucket}`;
    for (const max of [1.5, 9.5, 4.5]) {
      const response = await fetch(`${state.url}/api/v2/write?${target}&precision=ms`, {
        method: "POST",
        headers,
        body: `telemetry_10s,device=d1,metric=t max=${max} 1732350000000`,
      });
      assert.equal(response.status, 204, await response.text());
    }
    const response = await fetch(`${state.url}/api/v2/query?org=${state.org}`, {
      method: "POST",
      headers: { ...headers, "content-type": "application/vnd.flux", accept: "application/csv" },
      body: `from(bucket: "${state.bucket}") |> range(start: 0) |> keep(columns: ["_value"])`,
    });
    const rows = (await response.text()).trim().split(/\r?\n/).slice(1);
    assert.deepEqual(
      rows.map((row) => row.split(",").at(-1)),
      ["4.5"],
    );
    const stranger = await fetch(`${state.url}/api/v2/buckets`);
    assert.equal(stranger.status, 401, "it answers only to its token");
    await downLeavesNothing("influxdb", state);
  });
});

describe("deploy/questdb", () => {
  it("replaces a row that is written again, and down ends it", async (t) => {
    if (!needs(t, java)) return;
    const state = await up<Server>(t, "questdb");
    const sql = async (query: string) => {
      const response = await fetch(`${state.url}/exec?${new URLSearchParams({ query })}`);
      return ((await response.json()) as { dataset: unknown[][] }).dataset;
    };
    for (const [max, revision] of [
      [9.5, 1],
      [4.5, 2],
    ]) {
      const response = await fetch(`${state.url}/api/v2/write?org=o&bucket=b&precision=ms`, {
        method: "POST",
        body: `telemetry_10s,device=d1,metric=t count=3i,max=${max},revision=${revision}i 1732350000000`,
      });
      assert.equal(response.status, 204, await response.text());
    }
    // A write is acknowledged from the write-ahead log; queries see it a moment later.
    const row = await eventually("revision 2", async () =>
      (await sql("select revision, max, count from telemetry_10s")).find(([revision]) => revision === 2),
    );
    assert.deepEqual(row, [2, 4.5, 3]);
    assert.deepEqual(await sql("select count() from telemetry_10s"), [[1]]);
    await downLeavesNothing("questdb", state);
  });

  it("two at once get ports of their own", async (t) => {
    if (!needs(t, java)) return;
    const [a, b] = await Promise.all([up<Server>(t, "questdb"), up<Server>(t, "questdb")]);
    assert.notEqual(a.url, b.url);
    await deploy("questdb", "down", a.dir);
    assert.equal((await fetch(`${b.url}/ping`)).ok, true, "down of one must not touch the other");
  });

  it("a start that cannot work says why and takes everything back", async (t) => {
    if (!needs(t, java)) return;
    const holder = createServer().listen(0, "127.0.0.1");
    t.after(() => holder.close());
    await new Promise((resolve) => holder.once("listening", resolve));
    const { port } = holder.address() as { port: number };
    const parent = mkdtempSync(join(tmpdir(), "sluice-servers-test-"));
    t.after(() => rmSync(parent, { recursive: true }));
    const dir = join(parent, "questdb");
    await assert.rejects(deploy("questdb", "up", "--dir", dir, "--port", String(port)), /is in use/);
    assert.equal(existsSync(join(dir, "server.json")), false);
  });
});

describe("down", () => {
  it("leaves a process alone whose pid is not the server's", async (t) => {
    const dir = mkdtempSync(join(tmpdir(), "sluice-servers-test-"));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const bystander = execFile("sleep", ["300"]);
    t.after(() => bystander.kill());
    writeFileSync(join(dir, "questdb.pid"), `${bystander.pid}\n`);
    const state = { server: "questdb", version: "0", dir, temporary: false, running: true };
    writeFileSync(join(dir, "server.json"), JSON.stringify({ ...state, pids: [bystander.pid] }));
    await deploy("questdb", "down", dir);
    assert.equal(bystander.exitCode ?? bystander.signalCode, null);
    assert.ok(process.kill(bystander.pid!, 0));
  });

  it("refuses a folder without a server", async () => {
    await assert.rejects(deploy("kafka", "down", tmpdir()), /holds no server.json/);
  });
});
