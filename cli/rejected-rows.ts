/**
 * Rows that the store refused for good: they become dead letters with the server's own reason, and the rest of the
 * batch is stored.
 */
import { hash } from "node:crypto";
import type { DeadLetterRecord } from "../contracts/dead-letter.js";
import type { Log } from "../contracts/ports/log.js";
import type { RejectedRow } from "../contracts/ports/store.js";
import { TOPICS } from "../contracts/topics.js";

/** @throws SluiceError LOG_UNAVAILABLE */
export async function deadLetterRows(log: Log, rows: readonly RejectedRow[], nowMs: number): Promise<void> {
  const records = rows.map(({ kind, line, reason }) => {
    const id = hash("sha256", line, "hex").slice(0, 32);
    const letter: DeadLetterRecord = {
      ...{
        v: 1,
        id,
        reason: "store_rejected",
        detail: `${kind}: ${reason}`,
        topic: "store",
        ingestTs: nowMs,
      },
      ...{ payload: Buffer.from(line).toString("base64"), payloadBytes: Buffer.byteLength(line) },
    };
    return { key: id, value: Buffer.from(JSON.stringify(letter)), timestamp: nowMs };
  });
  await log.append(TOPICS.invalid, records);
}
