/**
 * Simulated devices. At QoS 1 each keeps every message until it is acked and sends it again, byte for byte, until then;
 * at QoS 0 it sends once and forgets. The ledger is what the devices know, for the judgement at the end.
 */
import { type Reading, readingId } from "../../contracts/reading.js";
import { START, type World } from "./world.js";

/** One reading, or one malformed piece, as it was sent. */
export interface SentItem {
  text: string;
  malformed: boolean;
  /** Identity, where the reading has one: a `ts` or a `seq`. */
  id?: string;
  /** Unique value of metric `tag`, where it has none. */
  tag?: number;
}

export interface SentMessage {
  deviceId: string;
  items: SentItem[];
  qos: 0 | 1;
  acked: boolean;
  /** Runs of gateways that were handed the message. */
  runs: Set<string>;
}

/** Longest a device waits for an ack before it sends again. */
const ACK_TIMEOUT_MS = 4_000;
const MAX_IN_FLIGHT = 4;
const HOUR_MS = 3_600_000;
const MALFORMED = ['{"values":{"t":1e999}}', '{"ts":"yesterday","values":{"t":1}}', "{}", "3"];
const MALFORMED_MESSAGES = [...MALFORMED, "not json", "", "[]"];
type Identity = "ts+seq" | "ts" | "seq+boot" | "none";

export class Device {
  readonly #world: World;
  readonly #id: string;
  readonly #ledger: SentMessage[];
  readonly #identity: Identity;
  readonly #skewMs: number;
  readonly #disorderMs: number;
  readonly #qos0Share: number;
  #seq = 0;
  #boot = 1;
  #tags = 0;
  #messageId = 0;

  constructor(world: World, id: string, ledger: SentMessage[]) {
    const { rng } = world;
    this.#world = world;
    this.#id = id;
    this.#ledger = ledger;
    this.#identity = rng.pick<Identity>(["ts+seq", "ts+seq", "ts", "seq+boot", "none"]);
    this.#skewMs = rng.int(3) === 0 ? rng.int(500_000) - 300_000 : 0;
    this.#disorderMs = rng.pick([0, 5_000, 500_000, 1_500_000]);
    this.#qos0Share = rng.pick([0, 0, 0.3]);
  }

  /** Its whole life: a backlog from hours offline, perhaps, then `count` readings about `gapMs` apart. */
  async run(count: number, gapMs: number): Promise<void> {
    const { rng, clock } = this.#world;
    const inFlight: Promise<void>[] = rng.int(4) === 0 ? this.#backlog() : [];
    for (let i = 0; i < count; i++) {
      await clock.sleep(rng.int(2 * gapMs));
      if (rng.next() < 0.05) this.#restart();
      const qos = rng.next() < this.#qos0Share ? 0 : 1;
      inFlight.push(this.#send(this.#message(), qos));
      if (inFlight.length >= MAX_IN_FLIGHT) await inFlight.shift();
    }
    await Promise.all(inFlight);
  }

  /** Power cycle: the sequence starts at 0 again. */
  #restart(): void {
    this.#seq = 0;
    this.#boot++;
  }

  /** Everything measured while offline, in batches, in any order. */
  #backlog(): Promise<void>[] {
    const { rng } = this.#world;
    const count = 2 + rng.int(30);
    const fromMs = START - rng.int(30 * HOUR_MS);
    const items = Array.from({ length: count }, (_, i) =>
      this.#reading(Math.floor(fromMs + (i / count) * (START - fromMs))),
    );
    const ordered = rng.next() < 0.7 ? items : rng.shuffled(items);
    const messages: SentItem[][] = [];
    while (ordered.length > 0) messages.push(ordered.splice(0, 1 + rng.int(10)));
    return messages.map((batch) => this.#send(batch, 1, true));
  }

  /** Mostly one reading; now and then a batch, with a malformed element perhaps, or a malformed message. */
  #message(): SentItem[] {
    const { rng, clock } = this.#world;
    if (rng.next() < 0.05) return [{ text: rng.pick(MALFORMED_MESSAGES), malformed: true }];
    const items = Array.from({ length: rng.next() < 0.1 ? 2 + rng.int(4) : 1 }, () => {
      const late = this.#disorderMs > 0 ? rng.int(this.#disorderMs) : 0;
      return this.#reading(clock.now() + this.#skewMs - late);
    });
    if (items.length > 1 && rng.next() < 0.3) items.push({ text: rng.pick(MALFORMED), malformed: true });
    return items;
  }

  #reading(ts: number): SentItem {
    const { rng } = this.#world;
    const values = {
      ...{ temperature: rng.next() < 0.03 ? 40 : 20 + rng.int(60) / 10, humidity: 50 + rng.next() },
      ...(this.#identity === "none" ? { tag: this.#tags } : {}),
    };
    const named = {
      ...(this.#identity.startsWith("ts") ? { ts } : {}),
      ...(this.#identity.includes("seq") ? { seq: this.#seq++ } : {}),
      ...(this.#identity.includes("boot") ? { boot: `b${this.#boot}` } : {}),
    };
    const text = JSON.stringify(rng.next() < 0.5 ? { ...named, values } : { ...named, ...values });
    if (this.#identity === "none") return { text, malformed: false, tag: this.#tags++ };
    return { text, malformed: false, id: readingId({ deviceId: this.#id, ...named, values } as Reading, "") };
  }

  async #send(items: SentItem[], qos: 0 | 1, batch = items.length > 1): Promise<void> {
    const { rng, clock, gateways } = this.#world;
    const sent: SentMessage = { deviceId: this.#id, items, qos, acked: false, runs: new Set() };
    this.#ledger.push(sent);
    const text = items.map((item) => item.text).join(",");
    const payload = Buffer.from(batch ? `[${text}]` : text);
    const messageId = ++this.#messageId;
    for (let dup = false; ; dup = true) {
      const gateway = gateways.connected(this.#id);
      if (gateway) {
        sent.runs.add(gateway.run);
        const published = gateways.publish(gateway, { deviceId: this.#id, payload, qos, dup, messageId });
        if (qos === 0) return;
        const timeout = clock.sleep(ACK_TIMEOUT_MS).then(() => false);
        if (await Promise.race([published, timeout])) sent.acked = true;
      } else if (qos === 0) return;
      // A device that crashes after the ack may send again what it does not know to be acked.
      if (sent.acked && rng.next() >= 0.05) return;
      if (rng.next() < 0.3) gateways.disconnect(this.#id);
      await clock.sleep(rng.int(1_000));
    }
  }
}
