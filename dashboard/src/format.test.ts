import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatAge, formatCount, formatDuration, formatRate, formatShort, formatValue } from "./format.js";
import { firstCommand } from "./model/first-command.js";

describe("words", () => {
  test("numbers keep five digits, or four where there is little room", () => {
    assert.equal(formatValue(21.5), "21.5");
    assert.equal(formatValue(-1013.256), "-1,013.3");
    assert.equal(formatValue(281_864_123.4), "281,864,123");
    assert.equal(formatShort(281_864_123.4), "281,864,123");
    assert.equal(formatValue(1e-9), "1.00e-9");
    assert.equal(formatValue(undefined), "–");
    assert.equal(formatShort(14.18849), "14.19");
    assert.equal(formatCount(999_999), "999,999");
    assert.equal(formatCount(1_204_311), "1.2M");
    assert.equal(formatRate(9.26), "9.3");
    assert.equal(formatRate(12_345), "12.3K");
  });

  test("times are short", () => {
    assert.equal(formatDuration(850), "850 ms");
    assert.equal(formatDuration(59_999), "59 s");
    assert.equal(formatDuration(12_000_000), "3 h 20 min");
    assert.equal(formatAge(10_000, 10_400), "now");
    assert.equal(formatAge(0, 65_000), "1 min ago");
    assert.equal(formatAge(65_000, 0), "in 1 min");
  });

  test("the first command names the host only when it is another one", () => {
    const payload = `-q 1 -t devices/d1/telemetry -m '{"values":{"temperature":21.5}}'`;
    assert.equal(firstCommand("localhost", 1883), `mosquitto_pub -p 1883 ${payload}`);
    assert.equal(firstCommand("gw.example", 2883), `mosquitto_pub -h gw.example -p 2883 ${payload}`);
    assert.equal(firstCommand("[fd00::1]", 1883), `mosquitto_pub -h fd00::1 -p 1883 ${payload}`);
  });
});
