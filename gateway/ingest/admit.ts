/**
 * From a message to records of the log: every item of it ends in exactly one reading or one dead letter (INV-2).
 *
 * Pure but for a counter and the memory of re-sends: time and run id are arguments.
 */
import type { DeadLetterRecord } from "../../contracts/dead-letter.js";
import { type Reading, type ReadingRecord, readingId } from "../../contracts/reading.js";
import type { GatewayLimits } from "../limits.js";
import { decode, elementRanges, isDeeper, type Rejection, tooDeep } from "./decode.js";
import { createItemReader, type ItemReader, isRejection } from "./reading.js";
import { type Delivery, Repeats, type Stamp } from "./repeats.js";

/** One message as it came in. */
export interface Inbound extends Delivery {
  topic: string;
  payload: Buffer;
}

/** The records of one message: together as many as it had items. */
export interface Admitted {
  readings: ReadingRecord[];
  deadLetters: DeadLetterRecord[];
}

/** One message while its items are looked at; what few of them need is made once. */
interface Context {
  message: Inbound;
  deviceId: string;
  stamp?: Stamp;
  /** Byte ranges of the elements of a batch. */
  ranges?: [start: number, end: number][];
}

/** Longest client id and topic copied into a dead letter, so that a small message cannot make a large record. */
const MAX_COPIED_CHARS = 512;

export class Admitter {
  readonly #limits: GatewayLimits;
  readonly #runId: string;
  readonly #readItem: ItemReader;
  readonly #repeats: Repeats;
  #deadLetters = 0;

  /** @param runId unique per run of the gateway: part of dead letter ids and of nonces */
  constructor(limits: GatewayLimits, runId: string) {
    this.#limits = limits;
    this.#runId = runId;
    this.#readItem = createItemReader(limits);
    this.#repeats = new Repeats(runId, limits.maxRememberedMessages);
  }

  /** Messages remembered to know their re-sends. */
  get remembered(): number {
    return this.#repeats.size;
  }

  /** @param deviceId legal, from the topic */
  admit(message: Inbound, deviceId: string): Admitted {
    const admitted: Admitted = { readings: [], deadLetters: [] };
    const decoded = decode(message.payload, this.#limits);
    if (decoded.kind === "rejected") {
      admitted.deadLetters.push(this.#deadLetter(message, decoded, { deviceId }));
      return admitted;
    }
    if (decoded.kind === "single") {
      this.#admitItem(admitted, { message, deviceId }, decoded.item);
    } else {
      const batch: Context = { message, deviceId };
      for (let index = 0; index < decoded.items.length; index++) {
        this.#admitItem(admitted, batch, decoded.items[index], index);
      }
    }
    return admitted;
  }

  /** The whole message as one dead letter: its topic names no legal device. */
  reject(message: Inbound, rejection: Rejection): Admitted {
    return { readings: [], deadLetters: [this.#deadLetter(message, rejection, {})] };
  }

  #admitItem(admitted: Admitted, context: Context, item: unknown, index?: number): void {
    const { message, deviceId } = context;
    const result = this.#readItem(deviceId, item, message.ingestTs);
    if (isRejection(result)) {
      admitted.deadLetters.push(this.#rejectItem(context, result, index));
      return;
    }
    if (result.ts === undefined) context.stamp ??= this.#repeats.stamp(message);
    admitted.readings.push(toRecord(result, message.ingestTs, context.stamp, index));
  }

  #rejectItem(context: Context, found: Rejection, index: number | undefined): DeadLetterRecord {
    const { message, deviceId } = context;
    let payload = message.payload;
    if (index !== undefined) {
      context.ranges ??= elementRanges(payload);
      payload = payload.subarray(...context.ranges[index]!);
    }
    const rejection = isDeeper(payload, this.#limits.maxDepth)
      ? { reason: "too_deep" as const, detail: tooDeep(this.#limits) }
      : found;
    return this.#deadLetter({ ...message, payload }, rejection, {
      deviceId,
      ...(index === undefined ? {} : { index }),
    });
  }

  #deadLetter(
    message: Inbound,
    { reason, detail }: Rejection,
    place: { deviceId?: string; index?: number },
  ): DeadLetterRecord {
    this.#deadLetters++;
    const { topic, clientId, payload, ingestTs } = message;
    return {
      v: 1,
      id: `${this.#runId}-${this.#deadLetters}`,
      reason,
      detail,
      topic: topic.slice(0, MAX_COPIED_CHARS),
      ...(clientId === undefined ? {} : { clientId: clientId.slice(0, MAX_COPIED_CHARS) }),
      ...place,
      ingestTs,
      payload: payload.toString("base64", 0, Math.min(payload.length, this.#limits.maxPayloadBytes)),
      payloadBytes: payload.length,
    };
  }
}

function toRecord(
  reading: Reading,
  ingestTs: number,
  stamp: Stamp | undefined,
  index: number | undefined,
): ReadingRecord {
  const nonce = index === undefined ? stamp?.nonce : `${stamp?.nonce}/${index}`;
  const id = readingId(reading, nonce ?? "");
  const { deviceId, ts, values } = reading;
  // The order of the keys is the order in the log: assigned one by one, which is cheaper than spreading.
  const record = { v: 1, id, deviceId, ts: ts ?? stamp!.receivedTs, ingestTs } as ReadingRecord;
  if (ts === undefined) record.tsFrom = "gateway";
  if (reading.seq !== undefined) record.seq = reading.seq;
  if (reading.boot !== undefined) record.boot = reading.boot;
  record.values = values;
  if (reading.attributes !== undefined) record.attributes = reading.attributes;
  return record;
}
