/**
 * A recording of MQTT traffic: JSON lines, a header and then one message each with its time of arrival.
 *
 * `{"v":1,"kind":"sluice.recording","startedAt":<epoch ms>}`, then `{"at":<ms since the start>,"topic":...}` with the
 * payload as `text`, or as `base64` when it is not UTF-8. A torn last line, as a killed recorder leaves it, is left out.
 */
import { SluiceError } from "../contracts/errors.js";

/** One message, and when it was there: milliseconds since the start of the recording. */
export interface Recorded {
  atMs: number;
  topic: string;
  payload: Buffer;
}

const KIND = "sluice.recording";

export function recordingHeader(startedAt: number): string {
  return `${JSON.stringify({ v: 1, kind: KIND, startedAt })}\n`;
}

export function recordingLine({ atMs, topic, payload }: Recorded): string {
  const text = payload.toString();
  const same = Buffer.from(text).equals(payload);
  const at = Math.round(atMs * 10) / 10;
  return `${JSON.stringify({ at, topic, ...(same ? { text } : { base64: payload.toString("base64") }) })}\n`;
}

/**
 * The messages of a recording, in order.
 * @throws SluiceError CONFIG_INVALID when it is none, or damaged before its last line
 */
export async function* readRecording(lines: AsyncIterable<string>): AsyncGenerator<Recorded> {
  let number = 0;
  let damaged: { number: number; cause: unknown } | undefined;
  for await (const line of lines) {
    number++;
    if (damaged) throw bad(damaged.number, damaged.cause);
    try {
      const value = JSON.parse(line);
      if (number > 1) yield asRecorded(value);
      else if (value?.kind !== KIND || value.v !== 1) throw new Error(`not a ${KIND} of version 1`);
    } catch (cause) {
      if (number === 1) throw bad(number, cause);
      damaged = { number, cause };
    }
  }
  if (number === 0) throw bad(1, new Error("the file is empty"));
}

function asRecorded({ at, topic, text, base64 }: Record<string, unknown>): Recorded {
  if (typeof at !== "number" || typeof topic !== "string") throw new Error("at and topic are needed");
  if (typeof text === "string") return { atMs: at, topic, payload: Buffer.from(text) };
  if (typeof base64 === "string") return { atMs: at, topic, payload: Buffer.from(base64, "base64") };
  throw new Error("text or base64 is needed");
}

function bad(line: number, cause: unknown): SluiceError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new SluiceError("CONFIG_INVALID", `recording, line ${line}: ${why}`, { cause });
}
