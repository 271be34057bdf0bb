/**
 * The closed lists of codes that cross module borders.
 *
 * Expected failures are values with one of these codes; a broken invariant throws a plain Error and crashes.
 * Codes are stable: they appear in topics, metrics and the HTTP API.
 */

/** Why a message became a dead letter. `docs/protocol.md` explains each one. */
export const REASON_CODES = [
  "empty",
  "too_large",
  "not_utf8",
  "not_json",
  "too_deep",
  "bad_topic",
  "bad_device_id",
  "bad_shape",
  "bad_ts",
  "ts_too_far_ahead",
  "bad_seq",
  "bad_boot",
  "bad_metric_name",
  "bad_value",
  "no_values",
  "too_many_values",
  "batch_too_long",
  "too_long_string",
  "store_rejected",
  "notification_failed",
] as const;
export type ReasonCode = (typeof REASON_CODES)[number];

/** Codes of {@link SluiceError}. */
export const ERROR_CODES = [
  "CONFIG_INVALID",
  "LOG_UNAVAILABLE",
  "LOG_CLOSED",
  "LOG_OFFSET_OUT_OF_RANGE",
  "LOG_UNKNOWN_TOPIC",
  "LOG_CORRUPT",
  "LOG_RECORD_TOO_LARGE",
  "STORE_UNAVAILABLE",
  "STORE_REJECTED",
  "STATE_CORRUPT",
  "STATE_LOCKED",
  "FENCED",
  "LISTEN_FAILED",
  "LEDGER_MISMATCH",
  "ABORTED",
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

/** An expected failure with a stable code, a sentence for a person, and the cause. */
export class SluiceError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "SluiceError";
    this.code = code;
  }
}

/** True when `error` is a {@link SluiceError} with `code`. */
export function hasCode(error: unknown, code: ErrorCode): error is SluiceError {
  return error instanceof SluiceError && error.code === code;
}
