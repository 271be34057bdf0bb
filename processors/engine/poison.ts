/**
 * The dead letter for a record of `telemetry.readings` that is no reading (a poison record).
 */
import type { DeadLetterRecord } from "../../contracts/dead-letter.js";
import type { TaskId } from "../../contracts/ports/checkpoint.js";
import type { AppendRecord, LogRecord } from "../../contracts/ports/log.js";

export function poisonRecord(task: TaskId, record: LogRecord, why: string): AppendRecord {
  const position = `${task.topic}/${record.partition}@${record.offset}`;
  const letter: DeadLetterRecord = {
    v: 1,
    id: position,
    reason: "bad_shape",
    detail: `record ${position}: ${why}`,
    topic: task.topic,
    ingestTs: record.timestamp,
    payload: Buffer.from(record.value).toString("base64"),
    payloadBytes: record.value.byteLength,
  };
  return { key: position, value: Buffer.from(JSON.stringify(letter)), timestamp: record.timestamp };
}
