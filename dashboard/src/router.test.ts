import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DEFAULT_VIEW } from "./model/time-range.js";
import { formatRoute, parseRoute, type Route } from "./router.js";

describe("routes", () => {
  test("survive a round trip", () => {
    const routes: Route[] = [
      { page: "fleet" },
      { page: "device", device: "d1", view: DEFAULT_VIEW, p95: false },
      {
        page: "device",
        device: "plant:a.b_c-1",
        view: { span: { kind: "last", range: "7d" }, resolution: "1h" },
        p95: true,
      },
      {
        page: "device",
        device: "d1",
        view: { span: { kind: "fixed", from: 1_000, to: 2_000 }, resolution: "auto" },
        p95: false,
      },
    ];
    for (const route of routes) assert.deepEqual(parseRoute(formatRoute(route)), route);
    assert.equal(formatRoute(routes[1]!), "#/device/d1");
  });

  test("nonsense falls back to what is usual", () => {
    assert.deepEqual(parseRoute("#/nope"), { page: "fleet" });
    assert.deepEqual(parseRoute(""), { page: "fleet" });
    const route = parseRoute("#/device/d%?range=9y&from=5&to=2");
    assert.deepEqual(route, { page: "device", device: "d%", view: DEFAULT_VIEW, p95: false });
  });
});
