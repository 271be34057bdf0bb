import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { changedSettings, retention } from "./topics.js";

const entry = (configName: string, configValue: string, configSource: number) => ({
  configName,
  configValue,
  configSource,
});
const TOPIC = 1;
const BROKER_DEFAULT = 5;

describe("topic settings", () => {
  it("keep for ever where nothing is said", () => {
    assert.deepEqual(retention({ name: "t", partitions: 1 }), {
      "retention.ms": "-1",
      "retention.bytes": "-1",
    });
  });

  it("are left alone when they are as wanted, wherever they come from", () => {
    const entries = [entry("retention.ms", "5", TOPIC), entry("retention.bytes", "-1", BROKER_DEFAULT)];
    assert.equal(changedSettings(entries, { "retention.ms": "5", "retention.bytes": "-1" }), undefined);
  });

  it("keep what else was set on the topic, and do not freeze what the broker gives", () => {
    const entries = [
      entry("retention.ms", "5", TOPIC),
      entry("segment.bytes", "1000", TOPIC),
      entry("compression.type", "producer", BROKER_DEFAULT),
    ];
    assert.deepEqual(changedSettings(entries, { "retention.ms": "7" }), {
      "retention.ms": "7",
      "segment.bytes": "1000",
    });
  });
});
