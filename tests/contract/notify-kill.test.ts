/**
 * kill -9 of a real process over a real embedded log, in mid-notification: the next process sends it again, under the
 * same id, and what was accepted before it is not sent again.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openEmbeddedLog } from "../../adapters/log/embedded/index.js";
import { type Answer, alert, startHttp } from "../../adapters/notify/testing/support.js";
import { TOPICS } from "../../contracts/topics.js";
import { systemClock } from "../../runtime/clock.js";
import { createLogger } from "../../runtime/logger.js";
import { createRegistry } from "../../runtime/metrics.js";

const LIMIT_MS = 60_000;
const isBuilt = import.meta.url.includes("/dist/");
const child = fileURLToPath(
  new URL(`../../adapters/notify/testing/child.${isBuilt ? "js" : "ts"}`, import.meta.url),
);

async function until(what: string, done: () => boolean): Promise<void> {
  for (const end = Date.now() + LIMIT_MS; !done(); ) {
    if (Date.now() > end) throw new Error(`${what}: not within ${LIMIT_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function start(dir: string, url: string): Promise<ChildProcess> {
  const loader = isBuilt ? [] : ["--import", "tsx"];
  const started = spawn(process.execPath, [...loader, child, dir, url], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(started.stdout!, "data");
  return started;
}

async function kill(running: ChildProcess): Promise<void> {
  const exited = once(running, "exit");
  running.kill("SIGKILL");
  await exited;
}

test("kill -9 in mid-notification loses none, and the repeat has the same id", {
  timeout: 3 * LIMIT_MS,
}, async () => {
  const dir = await mkdtemp(join(tmpdir(), "sluice-notify-kill-"));
  let isHanging = false;
  const hang = new Promise<Answer>(() => undefined);
  const http = await startHttp(() => (isHanging ? hang : { status: 200 }));
  const log = await openEmbeddedLog({
    ...{
      dir: join(dir, "log"),
      clock: systemClock,
      logger: createLogger("error"),
      registry: createRegistry(),
    },
  });
  await log.ensureTopics([{ name: TOPICS.alerts, partitions: 4 }]);
  const append = (device: string) => {
    const value = Buffer.from(JSON.stringify(alert({ device })));
    return log.append(TOPICS.alerts, [{ key: device, value, timestamp: Date.now() }]);
  };
  const got = () => http.requests.map(({ body }) => JSON.parse(body));
  const running: ChildProcess[] = [];
  try {
    running.push(await start(dir, http.url));
    await append("pump-1");
    await until("the first is told", () => got().length === 1);
    isHanging = true;
    await append("pump-2");
    await until("the second is on its way", () => got().length === 2);
    await kill(running.pop()!);
    isHanging = false;
    await append("pump-3");
    running.push(await start(dir, http.url));
    await until("all are told", () => got().some(({ alerts }) => alerts[0].device === "pump-3"));
    await until("the second is told again", () => got().length >= 4);
    const sent = got().map(({ id, alerts }) => `${alerts[0].device} ${id}`);
    assert.equal(sent.length, 4, sent.join("\n"));
    assert.equal(sent.filter((one) => one === sent[1]).length, 2, "the repeat has the same id");
    assert.deepEqual(new Set(sent.map((one) => one.split(" ")[0])), new Set(["pump-1", "pump-2", "pump-3"]));
    assert.ok(http.requests.every(({ headers, body }) => headers["idempotency-key"] === JSON.parse(body).id));
  } finally {
    for (const one of running) await kill(one);
    await log.close();
    await http.close();
    await rm(dir, { recursive: true, force: true });
  }
});
