/**
 * Translates errors of kafkajs to the closed codes of the log port, and says which of them a reconnect may cure.
 *
 * kafkajs wraps: the telling error is often some `cause`s deep, and only the protocol error has a `type`.
 */
import { type ErrorCode, hasCode, SluiceError } from "../../../contracts/errors.js";

/** What kafkajs puts on its errors, and Node on socket errors. */
interface KafkaErrorFields {
  name?: string;
  type?: string;
  code?: unknown;
  cause?: unknown;
  errors?: unknown;
}

const MAX_DEPTH = 10;

/** The error and its causes, outermost first. */
function chain(error: unknown): KafkaErrorFields[] {
  const found: KafkaErrorFields[] = [];
  const waiting: unknown[] = [error];
  while (waiting.length > 0 && found.length < MAX_DEPTH) {
    const next = waiting.shift();
    if (typeof next !== "object" || next === null) continue;
    const fields = next as KafkaErrorFields;
    found.push(fields);
    if (fields.cause !== next) waiting.push(fields.cause);
    if (Array.isArray(fields.errors)) waiting.push(...fields.errors);
  }
  return found;
}

/** Kafka's name of the protocol error (`UNKNOWN_TOPIC_OR_PARTITION`), wherever it is in the chain of causes. */
export function protocolError(error: unknown): string | undefined {
  for (const one of chain(error)) {
    if (typeof one.type === "string") return one.type;
    if (one.name === "KafkaJSOffsetOutOfRange") return "OFFSET_OUT_OF_RANGE";
  }
  return undefined;
}

const UNKNOWN_TOPIC = new Set(["UNKNOWN_TOPIC_OR_PARTITION", "INVALID_TOPIC_EXCEPTION"]);
const TOO_LARGE = new Set(["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE"]);
const FENCED = new Set([
  "ILLEGAL_GENERATION",
  "UNKNOWN_MEMBER_ID",
  "FENCED_INSTANCE_ID",
  "REBALANCE_IN_PROGRESS",
]);

function codeOf(error: unknown): ErrorCode {
  // A compression codec that kafkajs does not have (only gzip is built in): no retry will decode it.
  if (chain(error).some((one) => one.name === "KafkaJSNotImplemented")) return "LOG_CORRUPT";
  const type = protocolError(error);
  if (type === undefined) return "LOG_UNAVAILABLE";
  if (UNKNOWN_TOPIC.has(type)) return "LOG_UNKNOWN_TOPIC";
  if (TOO_LARGE.has(type)) return "LOG_RECORD_TOO_LARGE";
  if (FENCED.has(type)) return "FENCED";
  if (type === "OFFSET_OUT_OF_RANGE") return "LOG_OFFSET_OUT_OF_RANGE";
  return "LOG_UNAVAILABLE";
}

/**
 * The error as one of ours. What Kafka does not name is LOG_UNAVAILABLE: brokers down, no leader, too few in-sync
 * replicas, refused by authorisation. `doing` says what was tried, for the message.
 */
export function toSluiceError(error: unknown, doing: string): SluiceError {
  if (error instanceof SluiceError) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new SluiceError(codeOf(error), `Kafka: ${doing}: ${text}`, { cause: error });
}

/** So many times in a row "unknown topic" is believed to pass: about 25 s with the waits in between. */
const MAX_UNKNOWN_TOPIC = 15;

/**
 * True when the same request may work later. For a topic that was there before that includes "unknown topic", for a
 * while: a broker that starts says so until it has caught up with the controller.
 */
export function isTransient(error: unknown, failuresInARow: number): boolean {
  if (hasCode(error, "LOG_UNAVAILABLE")) return true;
  return hasCode(error, "LOG_UNKNOWN_TOPIC") && failuresInARow <= MAX_UNKNOWN_TOPIC;
}

export function closedError(): SluiceError {
  return new SluiceError("LOG_CLOSED", "the log was closed");
}
