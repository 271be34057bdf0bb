/**
 * Sends lines through the InfluxDB client so that none can be lost: one request at a time per call, each awaited,
 * no buffer that outlives it, no retries out of sight. Who calls writes again.
 *
 * A line that the server will not take is found by halving the batch, and returned with the server's words; all
 * other lines are stored. Lines are upserts, so sending a half again changes nothing.
 */
import { HttpError, type InfluxDB } from "@influxdata/influxdb-client";
import type { RejectedRow } from "../../../contracts/ports/store.js";
import type { Line } from "./lines.js";
import { unavailable } from "./unavailable.js";

/** InfluxDB takes most lines a second in requests of about this many. */
const LINES_PER_REQUEST = 5_000;

/** How the servers say that it is a line that is wrong, and not the request. */
const LINE_IS_WRONG =
  /unable to parse|partial write|field type conflict|line protocol|error in line|beyond retention|cast error/i;

export class LineWriter {
  readonly #client: InfluxDB;
  readonly #org: string;
  readonly #bucket: string;

  constructor(client: InfluxDB, org: string, bucket: string) {
    this.#client = client;
    this.#org = org;
    this.#bucket = bucket;
  }

  /** @throws SluiceError STORE_UNAVAILABLE */
  async write(lines: readonly Line[]): Promise<RejectedRow[]> {
    const rejected: RejectedRow[] = [];
    for (let at = 0; at < lines.length; at += LINES_PER_REQUEST) {
      await this.#writeOrHalve(lines.slice(at, at + LINES_PER_REQUEST), rejected);
    }
    return rejected;
  }

  async #writeOrHalve(lines: readonly Line[], rejected: RejectedRow[]): Promise<void> {
    const refusal = await this.#send(lines);
    if (refusal === undefined) return;
    if (lines.length === 1 || refusal.allLines) {
      for (const { kind, text } of lines) rejected.push({ kind, line: text, reason: refusal.reason });
      return;
    }
    const middle = lines.length >> 1;
    await this.#writeOrHalve(lines.slice(0, middle), rejected);
    await this.#writeOrHalve(lines.slice(middle), rejected);
  }

  /** @returns undefined when every line is stored */
  async #send(lines: readonly Line[]): Promise<Refusal | undefined> {
    // A write API of its own for each request: its buffer then holds these lines and no others. Nothing here ever
    // reaches a limit at which the client would flush by itself, because it hides errors of such flushes.
    const api = this.#client.getWriteApi(this.#org, this.#bucket, "ms", {
      batchSize: lines.length + 1,
      maxBatchBytes: Number.POSITIVE_INFINITY,
      flushInterval: 0,
      maxRetries: 0,
      maxBufferLines: lines.length + 1,
      gzipThreshold: Number.MAX_SAFE_INTEGER,
      // Without it the client takes some refusals for success, and logs the others to the console.
      writeFailed: (error) => Promise.reject(error),
    });
    api.writeRecords(lines.map(({ text }) => text));
    try {
      await api.flush();
      return undefined;
    } catch (error) {
      return refusalOf(error, lines.length);
    } finally {
      api.dispose();
    }
  }
}

interface Refusal {
  reason: string;
  /** The server says that it took none of the lines. */
  allLines: boolean;
}

function refusalOf(error: unknown, lineCount: number): Refusal {
  if (error instanceof HttpError) {
    const reason = wordsOf(error);
    const dropped = Number(/\bdropped=(\d+)/.exec(reason)?.[1]);
    if (error.statusCode === 413) return { reason, allLines: false };
    if ((error.statusCode === 400 || error.statusCode === 422) && LINE_IS_WRONG.test(reason)) {
      return { reason, allLines: dropped === lineCount };
    }
  }
  throw unavailable("writing", error);
}

function wordsOf(error: HttpError): string {
  const message = (error.json as { message?: unknown } | undefined)?.message;
  return typeof message === "string" ? message : error.message;
}
