/**
 * The configuration: the example of the docs, and what is refused.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { z } from "zod";
import { notifyChannels } from "../adapters/notify/index.js";
import { systemClock } from "../runtime/clock.js";
import { commandRecord, parseCommand } from "./commands.js";
import { notifierSchema } from "./config.js";

const docs = readFileSync(
  new URL(`${import.meta.url.includes("/dist/") ? "../" : ""}../docs/notifications.md`, import.meta.url),
  "utf8",
);

test("the example of the docs is valid, to its channels too", () => {
  const config = notifierSchema.parse(parse(/```yaml\n([\s\S]*?)```/.exec(docs)![1]!));
  const env = {
    SLACK_URL: "https://hooks.example.org/x",
    HOOK_SECRET: "s",
    PAGERDUTY_KEY: "k",
    SMTP_PASSWORD: "p",
  };
  const create = notifyChannels({ clock: systemClock, env });
  const kinds = config.receivers.flatMap(({ channels }) =>
    channels.map((channel) => create(channel, "x").name),
  );
  assert.deepEqual(kinds, ["slack", "webhook", "pagerduty", "email", "alertmanager"]);
  assert.equal(config.route!.routes[1]!.escalation![0]!.after, 15 * 60_000);
});

test("the commands of the docs are valid", () => {
  const lines = docs.split("\n").filter((line) => line.startsWith('{"v":1,"kind"'));
  const kinds = lines.map((line) => {
    const command = parseCommand(Buffer.from(line.replace("<alert id>", "a1")));
    return typeof command === "string" ? command : command.kind;
  });
  assert.deepEqual(kinds, ["silence", "expire", "ack"]);
});

test("what is wrong is refused with its path", () => {
  const receivers = [{ name: "ops", channels: [{ type: "webhook" }] }];
  const refused = (parts: object, pattern: RegExp) => {
    const parsed = notifierSchema.safeParse({ receivers, ...parts });
    assert.match(parsed.success ? "accepted" : z.prettifyError(parsed.error), pattern);
  };
  refused({ route: { receiver: "nobody" } }, /there is no receiver "nobody"[\s\S]*route\.receiver/);
  const deep = { receiver: "ops", routes: [{ escalation: [{ after: "5m", receiver: "nobody" }] }] };
  refused({ route: deep }, /nobody[\s\S]*route\.routes\[0\]\.escalation\[0\]\.receiver/);
  refused({ route: { receiver: "ops", group_wait: "soon" } }, /not a duration[\s\S]*route\.group_wait/);
  refused({ route: { receiver: "ops", group_interval: 0 } }, /longer than 0/);
  refused({ route: { receiver: "ops", group_by: ["site"] } }, /route\.group_by\[0\]/);
  refused({ route: { receiver: "ops", routes: [{ matcher: {} }] } }, /"matcher"/);
  refused({ receivers: [...receivers, ...receivers] }, /"ops" is taken/);
  const twice = [{ name: "ops", channels: [{ type: "slack" }, { type: "slack" }] }];
  refused({ receivers: twice }, /"slack" is taken/);
  refused({ maintenance: [{ name: "a", windows: [{ start: "24:30", end: "25:00" }] }] }, /not a time of day/);
});

test("a silence must say what, and end after it starts", () => {
  const silence = {
    v: 1,
    kind: "silence",
    id: "s",
    matchers: { device: "a" },
    start: 1,
    end: 2,
    author: "eve",
  } as const;
  assert.equal(commandRecord(silence, 5).key, "s");
  assert.throws(() => commandRecord({ ...silence, matchers: {} }, 5), /name at least one label/);
  assert.throws(() => commandRecord({ ...silence, end: 1 }, 5), /must be after start/);
  assert.throws(() => commandRecord({ ...silence, id: "a/b" }, 5));
});
