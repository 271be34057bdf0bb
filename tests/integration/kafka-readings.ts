/**
 * The readings that the gateways of kafka-processors.test.ts append: a function of (gateway, index), so that the test
 * knows all of them once it knows how many each gateway has sent.
 */
import { type ReadingRecord, readingId } from "../../contracts/reading.js";

const START = Date.UTC(2026, 5, 1, 12);
const DEVICES = 40;
const STEP_MS = 100;
const DISORDER_MS = 20_000;
/** Every so many readings a gateway also sends one again that the other gateway has sent, or is about to. */
const RESEND_EVERY = 17;
const RESEND_BACK = 30;

/** What gateway 0 or 1 appends for its `index`: a reading, and now and then a re-send. */
export function readingsAt(gateway: number, index: number): ReadingRecord[] {
  const own = readingOf(gateway, index);
  if (index % RESEND_EVERY !== 0 || index < RESEND_BACK) return [own];
  return [own, { ...readingOf(1 - gateway, index - RESEND_BACK), ingestTs: own.ingestTs }];
}

function readingOf(gateway: number, index: number): ReadingRecord {
  const mixed = Math.imul(index + 1, 2_654_435_761) >>> 0;
  const due = START + index * STEP_MS + gateway * 37;
  const reading = {
    deviceId: `d${index % DEVICES}`,
    ts: due + (mixed % DISORDER_MS),
    seq: index,
    boot: `gateway-${gateway}`,
    values: { temperature: 20 + (mixed % 1_000) / 7, humidity: mixed % 100 },
  };
  return { v: 1, id: readingId(reading, ""), ingestTs: due + DISORDER_MS, ...reading };
}
