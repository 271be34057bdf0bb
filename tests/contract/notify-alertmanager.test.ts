/**
 * Alertmanager API v2, against the real one: an alert is there while it fires, and ends when it is resolved.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { alert, channel, ended, notification, send } from "../../adapters/notify/testing/support.js";
import { ChannelError } from "../../contracts/ports/channel.js";

const PROGRAM = "prometheus-alertmanager";
const LIMIT_MS = 60_000;

/** Why it cannot run here; on CI that is a failure. */
async function missing(): Promise<string | false> {
  const found = await promisify(execFile)("sh", ["-c", `command -v ${PROGRAM}`]).then(
    () => true,
    () => false,
  );
  if (found) return false;
  const reason = `Alertmanager is NOT tested: ${PROGRAM} not found (apt-get install ${PROGRAM})`;
  if (process.env.CI === "true") throw new Error(reason);
  process.stderr.write(`${reason}\n`);
  return reason;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

async function until<T>(what: string, probe: () => Promise<T | undefined>): Promise<T> {
  for (const end = Date.now() + LIMIT_MS; Date.now() < end; ) {
    const found = await probe().catch(() => undefined);
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what}: not within ${LIMIT_MS} ms`);
}

const skip = await missing();
let url = "";
let dir = "";
let server: ChildProcess | undefined;

before(async () => {
  if (skip !== false) return;
  dir = await mkdtemp(join(tmpdir(), "sluice-alertmanager-"));
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  await writeFile(join(dir, "config.yml"), "route: {receiver: none}\nreceivers: [{name: none}]\n");
  const flags = [
    `--config.file=${join(dir, "config.yml")}`,
    `--storage.path=${join(dir, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`,
    "--cluster.listen-address=",
  ];
  server = spawn(PROGRAM, flags, { stdio: "ignore" });
  await until("Alertmanager is ready", async () => ((await fetch(`${url}/-/ready`)).ok ? true : undefined));
});

after(async () => {
  if (server && server.exitCode === null) {
    const exited = once(server, "exit");
    server.kill();
    await exited;
  }
  if (dir !== "") await rm(dir, { recursive: true, force: true });
});

interface Shown {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  startsAt: string;
  endsAt: string;
}

const active = async () => (await (await fetch(`${url}/api/v2/alerts?active=true`)).json()) as Shown[];
const shown = async (device: string) => (await active()).find(({ labels }) => labels.device === device);

test("a firing alert is shown, sent twice it is one, and its end ends it", { skip }, async () => {
  const to = channel({ type: "alertmanager", url: `${url}/`, labels: { site: "north" } });
  const one = alert({ device: "am-1" });
  const told = notification([one, alert({ device: "am-2" })]);
  await send(to, told);
  await send(to, told);
  const found = await until("am-1 is shown", () => shown("am-1"));
  assert.deepEqual(found.labels, {
    ...{ alertname: "hot", device: "am-1", metric: "temperature", severity: "critical", site: "north" },
  });
  assert.equal(found.annotations.summary, one.summary);
  assert.equal(found.annotations.sluice_alert, one.id);
  assert.equal(Date.parse(found.startsAt), one.startedAt);
  assert.ok(Date.parse(found.endsAt) > Date.now() + 23 * 3_600_000, "it would end by itself too soon");
  assert.equal((await active()).length, 2);
  await send(to, notification([ended(one)]));
  await until("am-1 has ended", async () => ((await shown("am-1")) === undefined ? true : undefined));
  assert.ok(await shown("am-2"), "the other one still fires");
});

test("an end by a device whose clock is ahead ends the alert now", { skip }, async () => {
  const to = channel({ type: "alertmanager", url });
  const startedAt = Date.now() + 600_000;
  const ahead = alert({ device: "am-3", startedAt });
  await send(to, notification([ahead]));
  await until("am-3 is shown", () => shown("am-3"));
  await send(to, notification([ended(ahead)]));
  await until("am-3 has ended", async () => ((await shown("am-3")) === undefined ? true : undefined));
});

test("what it does not take is permanent", { skip }, async () => {
  const to = channel({ type: "alertmanager", url: `${url}/elsewhere` });
  await assert.rejects(
    send(to, notification([alert()])),
    (error) => error instanceof ChannelError && !error.retryable,
  );
});
