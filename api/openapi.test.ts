import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import {
  aDeadLetter,
  aDevice,
  anAlert,
  appendDeadLetters,
  aRollup,
  type Harness,
  startHarness,
} from "./testing/harness.js";
import { openStream } from "./testing/sse.js";

interface Operation {
  operationId: string;
  parameters?: { name: string; in: string; required: boolean; schema: object }[];
  responses: Record<string, { content: Record<string, object> }>;
}
interface Document {
  openapi: string;
  paths: Record<string, { get: Operation }>;
}

/** One question per documented answer that can be had over memory ports. */
const QUESTIONS: [path: string, status: number][] = [
  ["/healthz", 200],
  ["/readyz", 200],
  ["/metrics", 200],
  ["/api/v1/devices", 200],
  ["/api/v1/rollups?device=d1&metric=temperature&from=0&to=99999999", 200],
  ["/api/v1/rollups?device=d1", 400],
  ["/api/v1/alerts", 200],
  ["/api/v1/alerts?state=no", 400],
  ["/api/v1/stats", 200],
  ["/api/v1/info", 200],
  ["/api/v1/deadletters", 200],
  ["/api/v1/deadletters?limit=no", 400],
  ["/api/v1/stream?events=no", 400],
  ["/openapi.json", 200],
];

describe("openapi.json", () => {
  let h: Harness;
  let document: Document;
  let ajv: Ajv2020;

  before(async () => {
    h = await startHarness({ stream: { statsEveryMs: 50 } });
    const rollups = [aRollup({ start: 0 }), aRollup({ start: 10_000 })];
    const alerts = [anAlert(), anAlert({ state: "resolved", resolvedAt: 9, startedAt: 5 })];
    await h.store.write({ rollups, alerts, devices: [aDevice()] });
    await appendDeadLetters(h.log, [aDeadLetter(), aDeadLetter({ index: 3, raw: Buffer.from([0xff]) })]);
    document = (await h.get("/openapi.json")).body;
    ajv = new Ajv2020({ strict: false });
    ajv.addSchema(document, "api");
  });
  after(() => h.api.close());

  const pointer = (...parts: string[]) =>
    `api#/${parts.map((part) => part.replaceAll("~", "~0").replaceAll("/", "~1")).join("/")}`;
  const assertValid = (ref: string, data: unknown) => {
    const validate = ajv.compile({ $ref: ref });
    assert.ok(validate(data), `${ref}: ${ajv.errorsText(validate.errors)}`);
  };

  test("every documented path answers, and every question is of a documented path", async () => {
    assert.match(document.openapi, /^3\.1/);
    const asked = new Set(QUESTIONS.map(([path]) => path.split("?")[0]));
    assert.deepEqual([...asked].sort(), Object.keys(document.paths).sort());
    const ids = Object.values(document.paths).map((item) => item.get.operationId);
    assert.equal(new Set(ids).size, ids.length);
  });

  test("answers have the documented status, content type and shape", async () => {
    for (const [path, status] of QUESTIONS) {
      const response = await fetch(h.url + path);
      assert.equal(response.status, status, path);
      const route = path.split("?")[0]!;
      const content = document.paths[route]!.get.responses[status]!.content;
      const type = response.headers.get("content-type")!.split(";")[0]!;
      assert.ok(content[type], `${path}: ${type} is not documented`);
      const body = type === "application/json" ? await response.json() : await response.text();
      if (route === "/openapi.json") continue;
      assertValid(pointer("paths", route, "get", "responses", `${status}`, "content", type, "schema"), body);
    }
  });

  test("parameters are documented with their bounds", () => {
    const { parameters } = document.paths["/api/v1/rollups"]!.get;
    const byName = Object.fromEntries(parameters!.map((parameter) => [parameter.name, parameter]));
    assert.deepEqual(
      parameters!.filter((parameter) => parameter.required).map((parameter) => parameter.name),
      ["device", "metric"],
    );
    assert.deepEqual(byName.resolution!.schema, {
      type: "string",
      enum: ["10s", "1m", "1h", "1d"],
      default: "10s",
    });
    assert.deepEqual(byName.limit!.schema, { type: "integer", minimum: 1, maximum: 20_000, default: 5_000 });
    assert.deepEqual(byName.from!.schema, { type: "string" });
  });

  test("a server error has the documented shape", async () => {
    h.store.down = true;
    const { status, body } = await h.get("/api/v1/devices");
    h.store.down = false;
    assert.equal(status, 503);
    assertValid(
      pointer("paths", "/api/v1/devices", "get", "responses", "503", "content", "application/json", "schema"),
      body,
    );
  });

  test("stream events have the documented shapes", async () => {
    const stream = await openStream(`${h.url}/api/v1/stream`);
    const seen = new Map<string, unknown>();
    await stream.next("stats");
    h.live.publish({ type: "rollups", rollups: [aRollup({ start: 0 })] });
    h.live.publish({ type: "alert", alert: anAlert() });
    h.live.publish({ type: "devices", devices: [aDevice()] });
    for (const name of ["rollups", "alert", "devices", "stats"]) seen.set(name, await stream.next(name));
    stream.close();
    const content = ["paths", "/api/v1/stream", "get", "responses", "200", "content", "text/event-stream"];
    for (const [name, data] of seen) assertValid(pointer(...content, "x-events", name), data);
    assert.throws(() => assertValid(pointer(...content, "x-events", "alert"), { alert: {} }));
  });
});
