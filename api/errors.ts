/**
 * How failures look over HTTP: `{"error": {"code", "message"}}` with a stable code and a sentence for a person.
 */
import { SluiceError } from "../contracts/errors.js";

/** The closed list of codes the API answers with. */
export const API_ERROR_CODES = [
  "BAD_REQUEST",
  "NOT_FOUND",
  "METHOD_NOT_ALLOWED",
  "BODY_TOO_LARGE",
  "STORE_UNAVAILABLE",
  "LOG_UNAVAILABLE",
  "TOO_MANY_STREAMS",
  "CLOSING",
  "INTERNAL",
] as const;
export type ApiErrorCode = (typeof API_ERROR_CODES)[number];

/** An error whose message may be shown to the caller. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: ApiErrorCode;

  constructor(status: number, code: ApiErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
  }
}

/** What the caller is told of `error`. Anything unexpected becomes a 500 that gives nothing away. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof SluiceError) {
    if (error.code === "STORE_UNAVAILABLE") {
      return new ApiError(503, "STORE_UNAVAILABLE", `the store is unavailable: ${error.message}`, {
        cause: error,
      });
    }
    if (error.code === "LOG_UNAVAILABLE" || error.code === "LOG_CLOSED") {
      return new ApiError(503, "LOG_UNAVAILABLE", `the log is unavailable: ${error.message}`, {
        cause: error,
      });
    }
  }
  const status = statusOf(error);
  if (status === 413) {
    return new ApiError(413, "BODY_TOO_LARGE", "the request body is too large", { cause: error });
  }
  if (status >= 400 && status < 500) {
    return new ApiError(status, "BAD_REQUEST", messageOf(error), { cause: error });
  }
  return new ApiError(500, "INTERNAL", "internal error; the gateway's log has the details", { cause: error });
}

/** Fastify marks the client's mistakes (malformed URL, content type, body) with a 4xx `statusCode`. */
function statusOf(error: unknown): number {
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  return typeof status === "number" ? status : 500;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
