/**
 * E-mail through an SMTP server.
 *
 * The `Message-ID` comes from the notification's id, so that a repeat can be told from a new one; all of a group are
 * one thread.
 */
import { createTransport } from "nodemailer";
import { z } from "zod";
import { type Channel, ChannelError, type Notification } from "../../contracts/ports/channel.js";
import { type ChannelDeps, common, headerText, parseSettings } from "./settings.js";
import { linesOf, titleOf } from "./text.js";

const address = z.string().regex(/^[^\s@<>,]+@[^\s@<>,]+$/, "must be an e-mail address");

export const emailSchema = z.strictObject({
  ...common,
  type: z.literal("email"),
  host: z.string().min(1),
  port: z.int().min(1).max(65_535).default(587),
  /** `starttls`: refuse to go on without it; `implicit`: TLS from the first byte (port 465); `none`: in the clear. */
  tls: z.enum(["starttls", "implicit", "none"]).default("starttls"),
  user: z.string().min(1).optional(),
  password: z.string().min(1).optional(),
  from: address,
  to: z.union([address, z.array(address).min(1)]),
  subject_prefix: headerText.default("[Sluice]"),
});

type Settings = z.output<typeof emailSchema>;

const MAX_SUBJECT = 200;

export function createEmail(settings: unknown, id: string, deps: ChannelDeps): Channel {
  const parsed = parseSettings(emailSchema, settings, id, deps);
  return { name: "email", send: (notification, signal) => deliver(parsed, notification, signal) };
}

async function deliver(settings: Settings, notification: Notification, signal: AbortSignal): Promise<void> {
  const { host, timeout } = settings;
  const transport = createTransport(transportOptions(settings));
  const over = new AbortController();
  const gaveUp = whenAborted(
    AbortSignal.any([signal, AbortSignal.timeout(timeout)]),
    over.signal,
    host,
    timeout,
  );
  try {
    const { rejected } = await Promise.race([transport.sendMail(messageOf(settings, notification)), gaveUp]);
    // The others have it: sending it again to all would not help those who were refused.
    if (rejected.length > 0)
      throw new ChannelError("REJECTED", `${host} refused ${rejected.length} recipient(s)`);
  } catch (error) {
    throw error instanceof ChannelError ? error : failureOf(error, host);
  } finally {
    over.abort();
    transport.close();
  }
}

function transportOptions({ host, port, tls, user, password, timeout }: Settings) {
  return {
    host,
    port,
    secure: tls === "implicit",
    requireTLS: tls === "starttls",
    ignoreTLS: tls === "none",
    ...(user === undefined ? {} : { auth: { user, pass: password ?? "" } }),
    connectionTimeout: timeout,
    greetingTimeout: timeout,
    socketTimeout: timeout,
    // Nothing in a message is read from a file or fetched.
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

function messageOf({ from, to, subject_prefix }: Settings, notification: Notification) {
  const { id, groupKey, alerts } = notification;
  const thread = `<${groupKey}@sluice>`;
  const title = titleOf(notification);
  return {
    from,
    to,
    subject: `${subject_prefix} ${title}`.slice(0, MAX_SUBJECT),
    messageId: `<${id}@sluice>`,
    inReplyTo: thread,
    references: thread,
    headers: { "X-Sluice-Notification": id, "Auto-Submitted": "auto-generated" },
    ...(alerts[0]?.severity === "critical" ? { priority: "high" as const } : {}),
    text: [title, "", ...linesOf(notification), "", `Notification ${id}`, ""].join("\n"),
  };
}

/** Rejects when the signal aborts, until `over`. */
function whenAborted(
  signal: AbortSignal,
  over: AbortSignal,
  host: string,
  timeoutMs: number,
): Promise<never> {
  const promise = new Promise<never>((_, reject) => {
    const abort = () => reject(new ChannelError("TIMEOUT", `${host} did not take it within ${timeoutMs} ms`));
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true, signal: over });
  });
  promise.catch(() => undefined);
  return promise;
}

function failureOf(error: unknown, host: string): ChannelError {
  const { code, responseCode } = error as { code?: unknown; responseCode?: unknown };
  if (code === "EAUTH") return new ChannelError("UNAUTHORIZED", `${host} refused the user or password`);
  if (typeof responseCode === "number") {
    const kind = responseCode >= 500 ? "REJECTED" : "SERVER_ERROR";
    return new ChannelError(kind, `${host} answered ${responseCode}`);
  }
  if (code === "ETIMEDOUT") return new ChannelError("TIMEOUT", `${host} did not answer in time`);
  return new ChannelError(
    "UNREACHABLE",
    `${host} cannot be reached: ${typeof code === "string" ? code : "error"}`,
  );
}
