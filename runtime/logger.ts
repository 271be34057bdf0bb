/**
 * Structured logs (pino). One logger per process; modules take a child with their name.
 *
 * Logs go to stderr, so that stdout stays for `--json` and other output a program reads.
 */
import { destination, type Logger, pino } from "pino";

export type { Logger };

/** `level`: fatal, error, warn, info, debug, trace or silent. */
export function createLogger(level: string): Logger {
  return pino(
    { level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime },
    destination({ dest: 2, sync: true }),
  );
}
