import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import type { Page } from "playwright-core";
import { aDeadLetter, anAlert, appendDeadLetters, startHarness } from "../api/testing/harness.js";
import { fillFleet, noChromium, rollupAt, type Scene, startScene } from "./testing/scene.js";

if (noChromium) {
  const message = `the page is NOT tested: ${noChromium}`;
  if (process.env.CI === "true") test(message, () => assert.fail(message));
  else console.error(`WARNING: ${message}`);
}
const options = noChromium ? { skip: noChromium } : {};

const row = (page: Page, device: string) => page.locator(`[id="row-${device}"]`);
const card = (page: Page, metric: string) => page.locator(`[data-metric="${metric}"]`);

/** Pixels of the first canvas in `selector` by what drew them; axes and grid lines are grey and count as nothing. */
function pixels(page: Page, selector: string): Promise<{ line: number; band: number; cell: number }> {
  return page.evaluate((query) => {
    const found = { line: 0, band: 0, cell: 0 };
    const canvas = document.querySelector<HTMLCanvasElement>(`${query} canvas`);
    if (!canvas || canvas.width === 0) return found;
    const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
    for (let i = 0; i < data.length; i += 4) {
      const [red, green, blue, alpha] = data.slice(i, i + 4) as unknown as [number, number, number, number];
      if (alpha === 0) continue;
      if (blue - red > 60) found[alpha > 200 ? "line" : "band"]++;
      else if (green - red > 40) found.cell++;
    }
    return found;
  }, selector);
}

async function untilDrawn(page: Page, selector: string, parts: ("line" | "band" | "cell")[]): Promise<void> {
  const giveUpAt = performance.now() + 30_000;
  for (;;) {
    const found = await pixels(page, selector);
    if (parts.every((part) => found[part] > 150)) return;
    if (performance.now() > giveUpAt) assert.fail(`in ${selector}: ${JSON.stringify(found)}`);
    await page.waitForTimeout(50);
  }
}

describe("live page without devices", options, () => {
  let scene: Scene;
  before(async () => {
    scene = await startScene();
  });
  after(() => scene.close());

  test("says what to send, and shows the device once it did", async () => {
    const page = await scene.open("", { permissions: ["clipboard-read", "clipboard-write"] });
    const line = `mosquitto_pub -p 1883 -q 1 -t devices/d1/telemetry -m '{"values":{"temperature":21.5}}'`;
    await page.getByTestId("empty").getByText(line, { exact: true }).waitFor();
    await page.getByRole("button", { name: "Copy" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), line);

    const now = Date.now();
    const latest = { temperature: 21.5 };
    const device = { device: "d1", lastTs: now, lastIngestTs: now, readings: 1, latest };
    scene.harness.live.publish({ type: "devices", devices: [device] });
    await row(page, "d1").getByText("21.5").waitFor();
    assert.equal(await page.getByTestId("empty").count(), 0);
    assert.deepEqual(scene.complaints, []);
  });
});

describe("live page with a fleet", options, () => {
  let scene: Scene;
  before(async () => {
    scene = await startScene();
    await fillFleet(scene.harness, 40);
  });
  after(() => scene.close());
  afterEach(async () => {
    await Promise.all(scene.browser.contexts().map((context) => context.close()));
    const complaints = scene.complaints.splice(0);
    assert.deepEqual(complaints, []);
  });

  test("shows health, rates and devices, alerting ones first", async () => {
    const page = await scene.open("");
    await page.getByTestId("health").getByText("Healthy").waitFor();
    await row(page, "pump-2").waitFor();
    const names = await page.locator(".row-name").allTextContents();
    assert.deepEqual(names.slice(0, 4), ["pump-1", "pump-7", "pump-2", "pump-3"]);
    await page.locator(".row.alerting").nth(1).waitFor();
    await page.locator(".tile", { hasText: "Duplicates" }).getByText("12").waitFor();
    await untilDrawn(page, ".map", ["cell"]);
  });

  test("rates follow the counters", async () => {
    const page = await scene.open("");
    const tile = page.locator(".tile", { hasText: "Received" });
    await tile.getByText("0/s").waitFor();
    scene.harness.stats.received = (scene.harness.stats.received as number) + 50_000;
    await tile.getByText(/[1-9]\d*(\.\d)?K?\/s/).waitFor();
  });

  test("draws a chart per metric, the alerting one first", async () => {
    const page = await scene.open("#/device/pump-1");
    for (const metric of ["temperature", "vibration", "pressure", "current"]) {
      await untilDrawn(page, `[data-metric="${metric}"]`, ["line", "band"]);
    }
    const order = await page
      .locator("[data-metric]")
      .evaluateAll((cards) => cards.map((each) => (each as HTMLElement).dataset.metric));
    assert.deepEqual(order, ["temperature", "current", "pressure", "vibration"]);
  });

  test("fills the band between minimum and maximum", async () => {
    const last = Math.floor(Date.now() / 10_000) * 10_000;
    const rollups = Array.from({ length: 360 }, (_, n) => {
      const rollup = rollupAt("pump-3", "pressure", last - n * 10_000, 10_000, "10s");
      return { ...rollup, min: 40, mean: 50, max: 60 };
    });
    await scene.harness.store.write({ rollups, alerts: [], devices: [] });
    const page = await scene.open("#/device/pump-3");
    await untilDrawn(page, '[data-metric="pressure"]', ["line", "band"]);
    const { band } = await pixels(page, '[data-metric="pressure"]');
    const box = (await card(page, "pressure").locator(".u-over").boundingBox())!;
    assert.ok(band > (box.width * box.height) / 2, `${band} of ${box.width} x ${box.height}`);
  });

  test("a rollup moves the chart without asking again; a correction replaces it", async () => {
    const page = await scene.open("#/device/pump-1");
    const shown = card(page, "pressure").locator(".field-mean dd");
    await shown.waitFor();
    await page.getByText("Live", { exact: true }).waitFor();
    let asked = 0;
    page.on("request", (request) => {
      if (request.url().includes("/api/v1/rollups")) asked++;
    });
    const start = Math.floor(Date.now() / 10_000) * 10_000;
    const publish = (mean: number, revision: number, device = "pump-1") => {
      const rollup = { ...rollupAt(device, "pressure", start, 10_000, "10s"), mean, revision };
      scene.harness.live.publish({ type: "rollups", rollups: [rollup] });
    };
    publish(777, 1_000, "pump-2");
    publish(321, 1_000);
    await shown.getByText("321", { exact: true }).waitFor();
    publish(654, 1_001);
    await shown.getByText("654", { exact: true }).waitFor();
    assert.equal(asked, 0);
  });

  test("search, state filter and arrow keys find a device", async () => {
    const page = await scene.open("");
    await row(page, "pump-2").waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("PUMP-3");
    await row(page, "pump-2").waitFor({ state: "detached" });
    assert.deepEqual(await page.locator(".row-name").allTextContents(), [
      "pump-3",
      ...Array.from({ length: 10 }, (_, n) => `pump-${30 + n}`),
    ]);
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.waitForURL(/#\/device\/pump-30$/);
    await page.getByRole("searchbox").fill("no such thing");
    await page.getByText("No device matches").waitFor();
    await page.getByRole("searchbox").fill("");
    await page.getByRole("button", { name: /Alerting/ }).click();
    await row(page, "pump-2").waitFor({ state: "detached" });
    assert.deepEqual(await page.locator(".row-name").allTextContents(), ["pump-1", "pump-7"]);
  });

  test("an alert comes in live with its explanation, and is resolved", async () => {
    const page = await scene.open("");
    const panel = page.getByTestId("alerts");
    await panel.getByText("2 firing").waitFor();
    const startedAt = Date.now();
    const alert = anAlert({
      device: "pump-9",
      metric: "pressure",
      startedAt,
      detector: "drift",
      rule: "slow",
    });
    scene.harness.live.publish({ type: "alert", alert });
    await panel.getByText("3 firing").waitFor();
    await page.waitForFunction(() => document.title === "(3) Sluice");
    const shown = panel.locator(".alert", { hasText: "pump-9 · pressure" });
    await shown.getByText(alert.summary).waitFor();
    assert.match((await shown.textContent())!, /score 0\.83 over 0\.5.*drift.*slow/);
    await shown.getByLabel("91 where 35 to 45 was expected").waitFor();
    await row(page, "pump-9").locator(".tag", { hasText: "alert" }).waitFor();
    const resolved = {
      ...alert,
      state: "resolved" as const,
      updatedAt: startedAt + 5,
      resolvedAt: startedAt + 5,
    };
    scene.harness.live.publish({ type: "alert", alert: resolved });
    await panel.getByText("2 firing").waitFor();
    await shown.getByText("resolved").waitFor();
  });

  test("dead letters show reason, detail and bytes, and new ones appear", async () => {
    const page = await scene.open("");
    const panel = page.getByTestId("dead-letters");
    await panel.getByText("values.temperature: must be a finite number").click();
    await panel.getByText('{"ts":1732350000000,"values":{"temperature":"hot"}}').waitFor();
    await panel.getByText("byte 0 is not UTF-8").click();
    await panel.getByText("ff fe 00 21").waitFor();
    const letter = aDeadLetter({ ingestTs: Date.now(), reason: "too_deep", detail: "nested too deep" });
    await appendDeadLetters(scene.harness.log, [letter]);
    scene.harness.stats.invalid = 4;
    await panel.getByText("nested too deep").waitFor();
  });

  test("dragging zooms and can be shared; live is one click away", async () => {
    const page = await scene.open("#/device/pump-1?range=6h");
    await untilDrawn(page, '[data-metric="current"]', ["line", "band"]);
    await page.getByRole("button", { name: "auto 1m" }).waitFor();
    const box = (await card(page, "current").locator(".u-over").boundingBox())!;
    await page.mouse.move(box.x + box.width * 0.9, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.95, box.y + 40, { steps: 4 });
    await page.mouse.up();
    await page.waitForURL(/from=\d+&to=\d+/);
    await page.getByRole("button", { name: "auto 10s" }).waitFor();
    const shared = await scene.open(new URL(page.url()).hash);
    await shared.getByRole("button", { name: "Back to live" }).click();
    await shared.waitForURL(/#\/device\/pump-1$/);
    await shared.getByText("Live", { exact: true }).waitFor();
  });

  test("a range without rollups leads to the latest ones", async () => {
    const page = await scene.open("#/device/pump-2");
    await card(page, "current")
      .getByRole("button", { name: /Show the latest/ })
      .click();
    await page.waitForURL(/from=\d+&to=\d+/);
  });

  test("ten thousand devices are a list that is quick and complete", async () => {
    const page = await scene.open("");
    const now = Date.now();
    const devices = Array.from({ length: 10_000 }, (_, n) => {
      const latest = { temperature: n };
      return { device: `fleet-${n}`, lastTs: now, lastIngestTs: now, readings: 1, latest };
    });
    await page.getByText("Healthy").waitFor();
    scene.harness.live.publish({ type: "devices", devices });
    await page.getByText("10,040 devices").waitFor();
    assert.ok((await page.locator(".row").count()) < 60);
    await page.locator("#device-rows").focus();
    await page.keyboard.press("End");
    await row(page, "pump-40").waitFor();
    await page.getByRole("searchbox").fill("fleet-9999");
    await row(page, "fleet-9999").click();
    await page.getByRole("heading", { name: "fleet-9999" }).waitFor();
  });

  test("fits a phone, in both colour schemes", async () => {
    const backgrounds = new Set<string>();
    for (const colorScheme of ["dark", "light"] as const) {
      for (const hash of ["#/", "#/device/pump-1"]) {
        const page = await scene.open(hash, { colorScheme, viewport: { width: 360, height: 740 } });
        await page.getByTestId("alerts").getByText("2 firing").waitFor();
        if (hash !== "#/") await untilDrawn(page, '[data-metric="temperature"]', ["line", "band"]);
        const [content, window] = await page.evaluate(() => [
          document.documentElement.scrollWidth,
          innerWidth,
        ]);
        assert.ok(content! <= window!, `${hash} is ${content} wide`);
        assert.equal(await page.locator(".devices").isVisible(), hash === "#/");
        backgrounds.add(
          await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor),
        );
      }
    }
    assert.equal(backgrounds.size, 2);
  });

  test("says that the store is down, and recovers by itself", async () => {
    scene.harness.store.down = true;
    const page = await scene.open("#/device/pump-1");
    await page.getByRole("alert").getByText("The store is unavailable").first().waitFor();
    scene.harness.store.down = false;
    await row(page, "pump-1").waitFor();
    await untilDrawn(page, '[data-metric="current"]', ["line", "band"]);
    const expected = scene.complaints.splice(0).filter((text) => !/status of 503/.test(text));
    assert.deepEqual(expected, []);
  });

  test("says that the connection is lost, and comes back", async () => {
    const page = await scene.open("#/device/pump-1");
    await page.getByText("Live", { exact: true }).waitFor();
    await untilDrawn(page, '[data-metric="current"]', ["line", "band"]);
    const { api, store, log, live } = scene.harness;
    await api.close();
    await page.getByText("The connection to the gateway is lost").waitFor();
    await page.getByText("Disconnected").waitFor();
    const again = await startHarness({ port: api.port, store, log });
    await page.getByText("Healthy").waitFor();
    await page.getByText("The connection to the gateway is lost").waitFor({ state: "detached" });
    await page.context().close();
    await again.api.close();
    assert.ok(live !== again.live);
    const expected = scene.complaints.splice(0).filter((text) => !/Failed to load resource/.test(text));
    assert.deepEqual(expected, []);
  });
});
