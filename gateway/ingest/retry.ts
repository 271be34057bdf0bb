/**
 * Gives a dead letter to the rules again, as they are now: after a limit was raised or a rule was changed it may have
 * become a reading.
 *
 * Pure. The outcome has the receive time of the first try, so that a retry changes no event time. Readings keep their
 * identity: retrying twice, or retrying what the device has sent again by itself, counts once (INV-3).
 */
import type { DeadLetterRecord } from "../../contracts/dead-letter.js";
import type { ReadingRecord } from "../../contracts/reading.js";
import type { GatewayLimits } from "../limits.js";
import { Admitter } from "./admit.js";
import { createRouter, DEFAULT_ROUTES } from "./route.js";

/** Either all of it became readings, or it stays a dead letter for the reason given. */
export type RetryOutcome =
  | { kind: "readings"; readings: ReadingRecord[] }
  | { kind: "still_invalid"; reason: string; detail: string };

export function retryDeadLetter(letter: DeadLetterRecord, limits: GatewayLimits): RetryOutcome {
  const payload = Buffer.from(letter.payload, "base64");
  if (payload.length < letter.payloadBytes) return still("too_large", "the payload was cut when it came in");
  const route = createRouter(DEFAULT_ROUTES)(letter.topic);
  if (route.kind !== "ingest") return still("bad_topic", `${letter.topic} is no topic of telemetry`);
  // The letter's id as run id: the nonce of a reading without time and seq is then the same at every retry.
  const admitter = new Admitter(limits, letter.id);
  const message = { topic: letter.topic, payload, qos: 1 as const, dup: false, ingestTs: letter.ingestTs };
  const { readings, deadLetters } = admitter.admit(message, route.deviceId);
  const rejected = deadLetters[0];
  return rejected ? still(rejected.reason, rejected.detail) : { kind: "readings", readings };
}

function still(reason: string, detail: string): RetryOutcome {
  return { kind: "still_invalid", reason, detail };
}
