import assert from "node:assert/strict";
import { test } from "node:test";
import { createRouter, DEFAULT_ROUTES } from "./route.js";

test("the default route", () => {
  const route = createRouter(DEFAULT_ROUTES);
  const kind = (topic: string) => route(topic).kind;
  assert.deepEqual(route("devices/a.B_9:-/telemetry"), { kind: "ingest", deviceId: "a.B_9:-" });
  assert.equal(kind(`devices/${"x".repeat(128)}/telemetry`), "ingest");
  assert.equal(kind(`devices/${"x".repeat(129)}/telemetry`), "rejected");
  for (const topic of [
    "devices/telemetry",
    "devices/",
    "devices/d1",
    "devices/a/b/telemetry",
    "devices//telemetry",
  ]) {
    assert.equal(kind(topic), "rejected", topic);
  }
  for (const topic of ["devices", "other", "/devices/d1/telemetry", "alert", "Devices/d1/telemetry"]) {
    assert.equal(kind(topic), "passthrough", topic);
  }
  for (const topic of ["$SYS/x", "$share/g/t", "alerts/d1", "alerts/"])
    assert.equal(kind(topic), "forbidden", topic);
});

test("routes of one's own", () => {
  const route = createRouter(["plant/{deviceId}/up", "plant/{deviceId}/data", "{deviceId}/telemetry"]);
  assert.deepEqual(route("plant/p1/data"), { kind: "ingest", deviceId: "p1" });
  assert.deepEqual(route("p1/telemetry"), { kind: "ingest", deviceId: "p1" });
  assert.equal(route("plant/p1/down").kind, "rejected");
  assert.equal(route("anything/else").kind, "passthrough");
});

test("a route must have one level for the device and no wildcard", () => {
  for (const bad of [
    "devices/telemetry",
    "{deviceId}/{deviceId}",
    "a/{deviceId}/#",
    "a/+/{deviceId}",
    "a/x{deviceId}",
    "",
  ]) {
    assert.throws(() => createRouter([bad]), /exactly one level/, bad);
  }
});
