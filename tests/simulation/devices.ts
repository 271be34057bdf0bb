/**
 * Simulated devices: each keeps every reading until it is acked and sends it again, byte for byte, until then.
 */
import { type Reading, readingId } from "../../contracts/reading.js";
import { START, type World } from "./world.js";

/** What all devices know to be true once they are done. */
export interface Ledger {
  /** Identities of acked readings that carry a time or a seq. */
  acked: Set<string>;
  /** Malformed payloads that were acked, as base64. */
  ackedInvalid: string[];
}

/** Longest a device waits for an ack before it sends again. */
const ACK_TIMEOUT_MS = 4_000;
const MALFORMED = ['{"values":{"t":1e999}}', "not json", '{"ts":"yesterday","values":{"t":1}}', "{}", ""];

/** A device's whole life: `count` readings, with disorder, re-sends, a skewed clock and now and then rubbish. */
export async function runDevice(
  world: World,
  deviceId: string,
  count: number,
  ledger: Ledger,
): Promise<void> {
  const { rng, clock } = world;
  const skewMs = rng.int(3) === 0 ? rng.int(500_000) - 300_000 : 0;
  const disorderMs = rng.pick([0, 5_000, 500_000, 900_000]);
  const timed = rng.next() < 0.8;
  const inFlight: Promise<void>[] = [];
  for (let seq = 0; seq < count; seq++) {
    await clock.sleep(rng.int(60_000));
    const ts = Math.max(START, clock.now() + skewMs - (disorderMs > 0 ? rng.int(disorderMs) : 0));
    const values = { temperature: rng.next() < 0.03 ? 40 : 20 + rng.int(60) / 10, humidity: 50 + rng.next() };
    const reading = timed ? { ts, seq, values } : { seq, boot: "b1", values };
    const payload = Buffer.from(JSON.stringify(reading));
    const id = readingId({ deviceId, ...reading } as Reading, "");
    inFlight.push(deliver(world, deviceId, payload, seq + 1).then(() => void ledger.acked.add(id)));
    if (rng.next() < 0.05) {
      const rubbish = Buffer.from(rng.pick(MALFORMED));
      const done = deliver(world, deviceId, rubbish, 10_000 + seq);
      inFlight.push(done.then(() => void ledger.ackedInvalid.push(rubbish.toString("base64"))));
    }
    if (inFlight.length >= 4) await inFlight.shift();
  }
  await Promise.all(inFlight);
}

async function deliver(world: World, deviceId: string, payload: Buffer, messageId: number): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const acked = world.publish(deviceId, payload, attempt > 0, messageId).catch(() => false);
    const timeout = world.clock.sleep(ACK_TIMEOUT_MS).then(() => false);
    if (!(await Promise.race([acked, timeout]))) {
      await world.clock.sleep(world.rng.int(1_000));
      continue;
    }
    // A device that crashes after the ack may send again what it does not know to be acked.
    if (world.rng.next() >= 0.05) return;
  }
}
