/**
 * Channels over HTTP, against a server that keeps what it gets: webhook, Slack, PagerDuty; and what each answer means.
 */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import {
  type Answer,
  alert,
  channel,
  ended,
  fromEnv,
  notification,
  send,
  startHttp,
} from "../../adapters/notify/testing/support.js";
import { hasCode } from "../../contracts/errors.js";
import { type Channel, ChannelError, type ChannelErrorCode } from "../../contracts/ports/channel.js";

test("webhook: JSON with its id as the idempotency key, the same for every attempt", async () => {
  const http = await startHttp();
  const hook = channel(
    { type: "webhook", url: `${http.url}/in?a=1`, headers: { authorization: `Bearer ${fromEnv("TOKEN")}` } },
    { TOKEN: "t0p" },
  );
  const told = notification([alert()]);
  await send(hook, told);
  await send(hook, told);
  const [first, second] = http.requests;
  assert.equal(first!.path, "/in?a=1");
  assert.deepEqual(JSON.parse(first!.body), told);
  assert.equal(first!.headers["idempotency-key"], told.id);
  assert.equal(first!.headers["content-type"], "application/json");
  assert.equal(first!.headers.authorization, "Bearer t0p");
  assert.equal(first!.headers["x-sluice-signature"], undefined);
  assert.equal(second!.body, first!.body);
  await http.close();
});

test("webhook: the signature verifies with the secret, and only over what was sent", async () => {
  const http = await startHttp();
  await send(
    channel({ type: "webhook", url: http.url, secret: fromEnv("HOOK") }, { HOOK: "s3cret" }),
    notification([alert()]),
  );
  const { headers, body } = http.requests[0]!;
  const [, t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers["x-sluice-signature"]))!;
  const sign = (secret: string, text: string) =>
    createHmac("sha256", secret).update(`${t}.${text}`).digest("hex");
  assert.equal(v1, sign("s3cret", body));
  assert.notEqual(v1, sign("s3cret", `${body} `));
  assert.ok(Math.abs(Number(t) - Date.now() / 1_000) < 300);
  await http.close();
});

test("slack: text and one attachment, markup escaped, long lists cut", async () => {
  const http = await startHttp();
  const hook = channel({ type: "slack", url: `${http.url}/services/T0/B0/secret`, channel: "#ops" });
  await send(hook, notification(Array.from({ length: 30 }, (_, i) => alert({ device: `pump-${i}` }))));
  await send(hook, notification([ended(alert())]));
  const [firing, resolved] = http.requests.map(({ body }) => JSON.parse(body));
  assert.equal(firing.channel, "#ops");
  assert.equal(
    firing.text,
    "[30 firing] hot: temperature of pump-0 is 90.5, above its limit of &lt;80&gt; &amp; more",
  );
  assert.equal(firing.attachments.length, 1);
  assert.equal(firing.attachments[0].color, "#d32f2f");
  assert.ok(firing.attachments[0].text.split("\n").length <= 21);
  assert.match(firing.attachments[0].footer, /^sluice 0+\d+$/);
  assert.match(resolved.text, /^\[1 resolved\]/);
  assert.equal(resolved.attachments[0].color, "#388e3c");
  await http.close();
});

test("pagerduty: one incident per group, triggered and resolved by its key", async () => {
  const http = await startHttp(() => ({ status: 202, body: '{"status":"success"}' }));
  const pager = channel(
    { type: "pagerduty", url: http.url, routing_key: fromEnv("KEY") },
    { KEY: "R0UT1NG" },
  );
  const told = notification([alert(), alert({ device: "pump-2", severity: "warning" })]);
  await send(pager, told);
  await send(pager, notification([ended(alert())]));
  const [trigger, resolve] = http.requests.map(({ body }) => JSON.parse(body));
  assert.equal(trigger.routing_key, "R0UT1NG");
  assert.equal(trigger.event_action, "trigger");
  assert.equal(trigger.dedup_key, told.groupKey);
  assert.equal(trigger.payload.severity, "critical");
  assert.equal(trigger.payload.source, "pump-1");
  assert.equal(trigger.payload.class, "hot");
  assert.equal(trigger.payload.custom_details.notification, told.id);
  assert.ok(!Number.isNaN(Date.parse(trigger.payload.timestamp)));
  assert.equal(resolve.event_action, "resolve");
  assert.equal(resolve.dedup_key, trigger.dedup_key);
  await http.close();
});

async function failure(to: Channel): Promise<ChannelError> {
  const error: unknown = await send(to, notification([alert()])).then(
    () => assert.fail("was accepted"),
    (reason) => reason,
  );
  assert.ok(error instanceof ChannelError, String(error));
  return error;
}

test("answers: which are tried again, and how soon", async () => {
  let answer: Answer = { status: 200 };
  const http = await startHttp(() => answer);
  const hook = channel({ type: "webhook", url: http.url });
  const expected: [Answer, ChannelErrorCode, boolean][] = [
    [{ status: 500 }, "SERVER_ERROR", true],
    [{ status: 503 }, "SERVER_ERROR", true],
    [{ status: 429, headers: { "retry-after": "7" } }, "RATE_LIMITED", true],
    [{ status: 408 }, "TIMEOUT", true],
    [{ status: 401 }, "UNAUTHORIZED", false],
    [{ status: 400, body: "no  such\nfield" }, "REJECTED", false],
    [{ status: 302, headers: { location: "http://127.0.0.1:1/" } }, "REJECTED", false],
  ];
  for (const [given, code, retryable] of expected) {
    answer = given;
    const error = await failure(hook);
    assert.deepEqual([error.code, error.retryable], [code, retryable], `status ${given.status}`);
    assert.equal(error.retryAfterMs, given.status === 429 ? 7_000 : undefined);
    if (given.status === 400) assert.match(error.message, /answered 400: no such field$/);
  }
  await http.close();
  const gone = await failure(hook);
  assert.deepEqual([gone.code, gone.retryable], ["UNREACHABLE", true]);
});

test("a server that never answers ends in a timeout", async () => {
  const http = await startHttp(() => new Promise(() => undefined));
  const error = await failure(channel({ type: "webhook", url: http.url, timeout: "50ms" }));
  assert.deepEqual([error.code, error.retryable], ["TIMEOUT", true]);
  await http.close();
});

test("no error holds a secret, whatever the server says", async () => {
  const http = await startHttp(({ path, headers, body }) => ({
    status: 400,
    body: `${path} ${headers.authorization} ${body}`,
  }));
  const secret = "hunter2hunter2";
  const channels = [
    channel({ type: "webhook", url: `${http.url}/hook`, secret, headers: { authorization: secret } }),
    channel({ type: "slack", url: `${http.url}/services/${secret}` }),
    channel({ type: "pagerduty", url: http.url, routing_key: secret }),
    channel({ type: "alertmanager", url: http.url, headers: { authorization: secret } }),
  ];
  for (const to of channels) {
    const error = await failure(to);
    assert.ok(
      !`${error.message} ${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`.includes(secret),
      to.name,
    );
  }
  await http.close();
  for (const to of channels) {
    const error = await failure(to);
    assert.ok(!`${error.message} ${error.stack} ${String(error.cause)}`.includes(secret), to.name);
  }
});

test("wrong settings are refused by name, and no value is repeated", () => {
  const refused = (settings: { type: string } & Record<string, unknown>, pattern: RegExp) =>
    assert.throws(
      () => channel(settings),
      (error) =>
        hasCode(error, "CONFIG_INVALID") && pattern.test(error.message) && !error.message.includes("hunter2"),
    );
  refused({ type: "pigeon" }, /ops\/pigeon: there is no type "pigeon"; known are webhook, slack/);
  refused({ type: "webhook", url: "ftp://hunter2" }, /ops\/webhook: url: must be an http or https address/);
  refused({ type: "webhook", url: "http://a", secrets: "hunter2" }, /Unrecognized key: "secrets"/);
  refused(
    { type: "webhook", url: "http://a", headers: { a: "hunter2\r\nb: c" } },
    /headers.a: must be one line/,
  );
  refused({ type: "slack", url: fromEnv("MISSING") }, /the environment variable MISSING is not set/);
  refused({ type: "pagerduty" }, /routing_key/);
  refused({ type: "alertmanager", url: "http://a", hold: "soon" }, /hold/);
  refused({ type: "email", host: "a", from: "a@b", to: "a@b\nbcc: c@d" }, /to/);
});
