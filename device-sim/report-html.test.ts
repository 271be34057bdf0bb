import assert from "node:assert/strict";
import { test } from "node:test";
import { renderHtml } from "./report-html.js";
import { World } from "./testing/world.js";
import { timeline } from "./timeline.js";

test("the page tells the verdict and the counts, and asks nothing of the network", async () => {
  const world = new World();
  const page = renderHtml(await world.verify(), world.ledger);
  assert.match(page, /<strong>OK<\/strong>/);
  assert.match(page, new RegExp(`<td>acked</td><td>${world.ledger.size}</td>`));
  assert.equal(page.match(/<svg /g)?.length, 3);
  assert.doesNotMatch(page, /https?:|src=|href=|url\(|<script|@import/);
  assert.doesNotMatch(page, /NaN|undefined|Infinity/);
});

test("what is wrong is listed, and text from outside cannot become markup", async () => {
  const world = new World();
  world.addReading(0, { seq: 100_000, boot: "<b>&" });
  const report = await world.verify();
  report.findings[0]!.what = "<img onerror='x'>";
  const page = renderHtml(report, world.ledger);
  assert.match(page, /<strong>NOT OK<\/strong>/);
  assert.match(page, /&lt;img onerror=&#39;x&#39;&gt;/);
  assert.doesNotMatch(page, /<img/);
});

test("a run without any ack has a page too", async () => {
  const world = new World(
    () => false,
    () => false,
  );
  const page = renderHtml(await world.verify(), world.ledger);
  assert.match(page, /Time to ack by percentile: nothing to show/);
});

test("the stretches of the timeline hold every message once", () => {
  const { ledger } = new World();
  const bins = timeline(ledger);
  for (const field of ["duePerS", "sentPerS", "ackedPerS"] as const) {
    const total = bins.reduce((sum, bin) => sum + (bin[field] * bin.sizeMs) / 1_000, 0);
    assert.ok(Math.abs(total - ledger.size) < 1e-6, `${field}: ${total} of ${ledger.size}`);
  }
  assert.ok(bins.every(({ p50 }) => p50 === undefined || p50 === 3));
});
