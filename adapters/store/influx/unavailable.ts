/**
 * Says what a server said, as STORE_UNAVAILABLE.
 */
import { HttpError } from "@influxdata/influxdb-client";
import { SluiceError } from "../../../contracts/errors.js";

/** Codes that no repetition heals: the configuration is wrong. */
const CONFIGURATION = new Map([
  [401, "the token was not accepted"],
  [403, "the token does not allow it"],
  [404, "the organisation, bucket or address does not exist"],
]);

export function unavailable(doing: string, error: unknown): SluiceError {
  if (error instanceof SluiceError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  let reason = message || code || String(error);
  if (error instanceof HttpError) {
    const hint = CONFIGURATION.get(error.statusCode);
    reason = `${error.statusCode} ${error.message}${hint === undefined ? "" : ` (${hint})`}`;
  }
  return new SluiceError("STORE_UNAVAILABLE", `${doing} failed: ${reason}`, { cause: error });
}
