import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { test } from "node:test";
import { hasCode } from "../contracts/errors.js";
import { HttpStore } from "./http-store.js";

async function withServer(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  work: (url: string) => Promise<void>,
): Promise<void> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await work(`http://127.0.0.1:${(server.address() as { port: number }).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  }
}

const QUERY = { device: "d:1", metric: "m", resolution: "10s", from: 0, to: 12_000_000 };

test("a long range is asked for in parts that cover it once, half-open", async () => {
  const asked: [number, number][] = [];
  await withServer(
    (request, response) => {
      const { searchParams: search } = new URL(request.url!, "http://x");
      assert.deepEqual(
        ["device", "metric", "resolution"].map((name) => search.get(name)),
        ["d:1", "m", "10s"],
      );
      assert.equal(request.headers.authorization, "Bearer secret");
      const [from, to] = [Number(search.get("from")), Number(search.get("to"))];
      asked.push([from, to]);
      response.end(JSON.stringify({ rollups: [{ start: from, count: 1 }] }));
    },
    async (url) => {
      const rollups = await new HttpStore(`${url}/`, "secret").rollups(QUERY);
      assert.deepEqual(
        rollups.map(({ start, device, resolution }) => [start, device, resolution]),
        asked.map(([from]) => [from, "d:1", "10s"]),
      );
    },
  );
  assert.equal(asked[0]![0], 0);
  assert.equal(asked.at(-1)![1], QUERY.to);
  for (let i = 1; i < asked.length; i++) assert.equal(asked[i]![0], asked[i - 1]![1]);
});

test("counters are read, and an answer without them is refused", async () => {
  let body: unknown = { received: 3, readings: 2, invalid: 1, startedAt: 7, other: {} };
  await withServer(
    (_request, response) => response.end(JSON.stringify(body)),
    async (url) => {
      const store = new HttpStore(url);
      assert.deepEqual(await store.stats(), { received: 3, readings: 2, invalid: 1, startedAt: 7 });
      body = { received: 3 };
      await assert.rejects(store.stats(), /no counters/);
    },
  );
});

test("no answer and 5xx are STORE_UNAVAILABLE, 4xx is the caller's mistake", async () => {
  const unavailable = (error: unknown) => hasCode(error, "STORE_UNAVAILABLE");
  let status = 503;
  let closedUrl = "";
  await withServer(
    (_request, response) => {
      response.statusCode = status;
      response.end("why");
    },
    async (url) => {
      closedUrl = url;
      await assert.rejects(new HttpStore(url).rollups(QUERY), unavailable);
      status = 400;
      await assert.rejects(new HttpStore(url).rollups(QUERY), /400 why/);
    },
  );
  await assert.rejects(new HttpStore(closedUrl).rollups(QUERY), unavailable);
});
