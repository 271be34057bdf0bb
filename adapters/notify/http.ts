/**
 * One JSON request, and its outcome as a {@link ChannelError}. No error names more of the address than its host: paths
 * and queries of incoming webhooks are secrets.
 */
import { ChannelError, type ChannelErrorCode } from "../../contracts/ports/channel.js";

export interface JsonRequest {
  url: string;
  body: string;
  headers?: Record<string, string>;
  timeoutMs: number;
  signal: AbortSignal;
  /** Taken out of what the other side says before it is repeated anywhere. */
  secrets?: readonly string[];
}

const MAX_ANSWER_CHARS = 200;

/** @throws ChannelError unless the answer is 2xx */
export async function postJson(request: JsonRequest): Promise<void> {
  const { url, body, headers, timeoutMs } = request;
  const limit = AbortSignal.timeout(timeoutMs);
  const signal = AbortSignal.any([request.signal, limit]);
  const host = new URL(url).host;
  const init = { method: "POST", body, signal, redirect: "manual" as const };
  try {
    const response = await fetch(url, {
      ...init,
      headers: { "content-type": "application/json", "user-agent": "sluice", ...headers },
    });
    const answer = await response.text();
    if (response.ok) return;
    throw refusal(response, host, clean(answer, request.secrets ?? []));
  } catch (error) {
    if (error instanceof ChannelError) throw error;
    if (limit.aborted) throw new ChannelError("TIMEOUT", `${host} did not answer within ${timeoutMs} ms`);
    // Not as `cause`: it may hold the whole address.
    throw new ChannelError("UNREACHABLE", `${host} cannot be reached: ${networkCode(error)}`);
  }
}

function refusal(response: Response, host: string, answer: string): ChannelError {
  const { status } = response;
  const retryAfterMs = retryAfter(response.headers.get("retry-after"));
  const message = `${host} answered ${status}${answer === "" ? "" : `: ${answer}`}`;
  return new ChannelError(codeOf(status), message, retryAfterMs === undefined ? {} : { retryAfterMs });
}

function codeOf(status: number): ChannelErrorCode {
  if (status === 401 || status === 403) return "UNAUTHORIZED";
  if (status === 408 || status === 425) return "TIMEOUT";
  if (status === 429) return "RATE_LIMITED";
  return status >= 500 ? "SERVER_ERROR" : "REJECTED";
}

/** Seconds; the form with a date is not worth a clock here. */
function retryAfter(header: string | null): number | undefined {
  return header !== null && /^\d{1,6}$/.test(header) ? Number(header) * 1_000 : undefined;
}

function clean(answer: string, secrets: readonly string[]): string {
  const hidden = secrets
    .filter((secret) => secret !== "")
    .reduce((text, secret) => text.replaceAll(secret, "***"), answer);
  return hidden.replace(/\s+/g, " ").trim().slice(0, MAX_ANSWER_CHARS);
}

function networkCode(error: unknown): string {
  const { cause, name } = error as { cause?: { code?: unknown }; name?: string };
  return typeof cause?.code === "string" ? cause.code : (name ?? "error");
}
