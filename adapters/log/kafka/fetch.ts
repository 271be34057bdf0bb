/**
 * One fetch request: from a broker's answer to records in offset order, without control records and without records
 * of aborted transactions.
 *
 * kafkajs's own filter for aborted transactions lets records through when several transactions interleave: it takes
 * Kafka's list for sorted and activates one entry per message. The filter here does neither.
 */
import type { Broker, IHeaders } from "kafkajs";
import type { LogRecord, Offset } from "../../../contracts/ports/log.js";

/** What to fetch from one partition. */
export interface Want {
  partition: number;
  from: Offset;
}

/** What a fetch brought for one partition. */
export interface Chunk {
  partition: number;
  records: LogRecord[];
  /** Where the next fetch starts: past control records and gaps too. */
  next: Offset;
  /** End of what can be read as of this fetch: open transactions are not in it. */
  end: Offset;
}

export interface FetchLimits {
  maxWaitMs: number;
  maxBytesPerPartition: number;
  maxBytes: number;
}

/** A record as kafkajs decodes it; its typings have the fetch answer as `any`. */
export interface RawMessage {
  offset: string;
  timestamp: string;
  key: Buffer | null;
  value: Buffer | null;
  headers: IHeaders;
  isControlRecord?: boolean;
  batchContext?: {
    firstOffset: string;
    lastOffsetDelta: number;
    producerId: string;
    inTransaction: boolean;
  };
}

export interface AbortedTransaction {
  producerId: string;
  firstOffset: string;
}

interface RawPartition {
  partition: number;
  highWatermark: string;
  lastStableOffset?: string;
  abortedTransactions?: AbortedTransaction[] | null;
  messages: RawMessage[];
}

const READ_COMMITTED = 1;

/**
 * Fetches from the partitions of `topic` that `broker` leads.
 * @throws what kafkajs throws; one failing partition fails the request
 */
export async function fetchChunks(
  broker: Broker,
  topic: string,
  wants: readonly Want[],
  limits: FetchLimits,
): Promise<Chunk[]> {
  const answer: { responses: { partitions: RawPartition[] }[] } = await broker.fetch({
    isolationLevel: READ_COMMITTED,
    maxWaitTime: limits.maxWaitMs,
    minBytes: 1,
    maxBytes: limits.maxBytes,
    topics: [
      {
        topic,
        partitions: wants.map(({ partition, from }) => ({
          partition,
          fetchOffset: String(from),
          maxBytes: limits.maxBytesPerPartition,
        })),
      },
    ],
  });
  const froms = new Map(wants.map(({ partition, from }) => [partition, from]));
  return answer.responses
    .flatMap((response) => response.partitions)
    .map((found) => toChunk(found, froms.get(found.partition)!));
}

function toChunk(found: RawPartition, from: Offset): Chunk {
  return {
    partition: found.partition,
    records: toRecords(found.partition, found.messages, from, found.abortedTransactions ?? []),
    next: nextOffset(found.messages, from),
    end: Number(found.lastStableOffset ?? found.highWatermark),
  };
}

/** The visible records at or after `from`: a batch holds earlier ones when `from` is in its middle. */
export function toRecords(
  partition: number,
  messages: readonly RawMessage[],
  from: Offset,
  aborted: readonly AbortedTransaction[],
): LogRecord[] {
  const isAborted = abortFilter(aborted);
  const records: LogRecord[] = [];
  for (const message of messages) {
    const offset = Number(message.offset);
    if (isAborted(message, offset) || message.isControlRecord === true || offset < from) continue;
    records.push({
      partition,
      offset,
      timestamp: Number(message.timestamp),
      key: message.key === null ? null : message.key.toString("utf8"),
      value: message.value ?? EMPTY,
      headers: toHeaders(message.headers),
    });
  }
  return records;
}

const EMPTY = new Uint8Array(0);

/** The end of the last batch, which may lie past its last record; `from` when nothing came. */
export function nextOffset(messages: readonly RawMessage[], from: Offset): Offset {
  const last = messages.at(-1);
  if (last === undefined) return from;
  const context = last.batchContext;
  const end =
    context === undefined ? Number(last.offset) : Number(context.firstOffset) + context.lastOffsetDelta;
  return Math.max(from, end + 1);
}

/** Control records carry [version int16, type int16] as their key; type 0 is the abort marker. */
const ABORT_MARKER = Buffer.from([0, 0, 0, 0]);

/** Says of each message, in offset order, whether it is in an aborted transaction. */
function abortFilter(
  aborted: readonly AbortedTransaction[],
): (message: RawMessage, offset: number) => boolean {
  if (aborted.length === 0) return () => false;
  const ahead = aborted
    .map(({ producerId, firstOffset }) => ({ producerId, firstOffset: Number(firstOffset) }))
    .sort((a, b) => b.firstOffset - a.firstOffset);
  const aborting = new Set<string>();
  return (message, offset) => {
    while (ahead.length > 0 && ahead.at(-1)!.firstOffset <= offset) aborting.add(ahead.pop()!.producerId);
    const context = message.batchContext;
    if (context === undefined || !context.inTransaction) return false;
    if (message.isControlRecord === true) {
      if (message.key?.equals(ABORT_MARKER) === true) aborting.delete(context.producerId);
      return false;
    }
    return aborting.has(context.producerId);
  };
}

/** Headers as text; of a header that came several times the last one counts. */
function toHeaders(headers: IHeaders): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const name in headers) {
    const given = headers[name];
    const value = Array.isArray(given) ? given.at(-1) : given;
    if (value !== undefined) texts[name] = value.toString();
  }
  return texts;
}
