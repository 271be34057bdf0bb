/**
 * E-mail, against a real SMTP server.
 */
import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { alert, channel, ended, fromEnv, notification, send } from "../../adapters/notify/testing/support.js";
import { ChannelError } from "../../contracts/ports/channel.js";

interface Mail {
  from: string;
  to: string[];
  text: string;
}

async function startSmtp(options: SMTPServerOptions = {}) {
  const mails: Mail[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS"],
    onData(stream, session, callback) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const { mailFrom, rcptTo } = session.envelope;
        const from = mailFrom === false ? "" : mailFrom.address;
        mails.push({
          from,
          to: rcptTo.map(({ address }) => address),
          text: Buffer.concat(chunks).toString(),
        });
        callback();
      });
    },
    ...options,
  });
  server.on("error", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    mails,
    settings: {
      ...{ type: "email", host: "127.0.0.1", tls: "none", from: "sluice@example.org", to: "ops@example.org" },
      port: (server.server.address() as AddressInfo).port,
    },
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

async function failure(
  settings: { type: string } & Record<string, unknown>,
): Promise<[string, boolean, string]> {
  const error: unknown = await send(channel(settings), notification([alert()])).then(
    () => assert.fail("was accepted"),
    (reason) => reason,
  );
  assert.ok(error instanceof ChannelError, String(error));
  return [error.code, error.retryable, error.message];
}

test("a mail carries the id, the thread of its group, and says what happened", async () => {
  const smtp = await startSmtp();
  const mail = channel({ ...smtp.settings, to: ["ops@example.org", "boss@example.org"] });
  const told = notification([alert({ summary: "temperature is 90 °C\r\nBcc: eve@example.org" })]);
  await send(mail, told);
  await send(mail, notification([ended(alert())]));
  const [first, second] = smtp.mails;
  assert.equal(first!.from, "sluice@example.org");
  assert.deepEqual(first!.to, ["ops@example.org", "boss@example.org"]);
  const headers = first!.text.slice(0, first!.text.indexOf("\r\n\r\n"));
  assert.match(headers, new RegExp(`^Message-ID: <${told.id}@sluice>$`, "m"));
  assert.match(headers, new RegExp(`^References: <${told.groupKey}@sluice>$`, "m"));
  assert.match(headers, new RegExp(`^X-Sluice-Notification: ${told.id}$`, "m"));
  assert.doesNotMatch(headers, /^Bcc/im);
  assert.match(second!.text, /^Subject: \[Sluice\] \[1 resolved\] hot: temperature of pump-1/m);
  await smtp.close();
});

test("the password is used, and a wrong one is permanent and not repeated", async () => {
  const smtp = await startSmtp({
    authOptional: false,
    allowInsecureAuth: true,
    onAuth: ({ username, password }, _, callback) =>
      username === "u" && password === "hunter2" ? callback(null, { user: "u" }) : callback(new Error("no")),
  });
  const settings = { ...smtp.settings, user: "u" };
  await send(
    channel({ ...settings, password: fromEnv("PASS") }, { PASS: "hunter2" }),
    notification([alert()]),
  );
  assert.equal(smtp.mails.length, 1);
  const [code, retryable, message] = await failure({ ...settings, password: "hunter3" });
  assert.deepEqual([code, retryable], ["UNAUTHORIZED", false]);
  assert.doesNotMatch(message, /hunter/);
  await smtp.close();
});

test("what the server answers decides on another attempt", async () => {
  const answering = (responseCode: number) =>
    startSmtp({
      onMailFrom: (_, __, callback) => callback(Object.assign(new Error("no"), { responseCode })),
    });
  const later = await answering(451);
  assert.deepEqual((await failure(later.settings)).slice(0, 2), ["SERVER_ERROR", true]);
  await later.close();
  assert.deepEqual((await failure(later.settings)).slice(0, 2), ["UNREACHABLE", true]);
  const never = await answering(550);
  assert.deepEqual((await failure(never.settings)).slice(0, 2), ["REJECTED", false]);
  await never.close();
});

test("a refused recipient is not passed over in silence", async () => {
  const smtp = await startSmtp({
    onRcptTo: ({ address }, _, callback) =>
      callback(address.startsWith("gone") ? Object.assign(new Error("no"), { responseCode: 550 }) : null),
  });
  const [code, retryable] = await failure({ ...smtp.settings, to: ["ops@example.org", "gone@example.org"] });
  assert.deepEqual([code, retryable], ["REJECTED", false]);
  assert.equal(smtp.mails.length, 1);
  await smtp.close();
});

test("a server that hangs ends in a timeout; one without STARTTLS gets nothing unless told", async () => {
  const hanging = await startSmtp({ onConnect: () => undefined });
  assert.deepEqual((await failure({ ...hanging.settings, timeout: "100ms" })).slice(0, 2), ["TIMEOUT", true]);
  const plain = await startSmtp();
  const { tls, ...secure } = plain.settings;
  await failure(secure);
  assert.equal(plain.mails.length, 0);
  await Promise.all([hanging.close(), plain.close()]);
});
