/**
 * The load of the ingest bench, a process of its own: raw sockets that publish at QoS 1 with a closed window, and
 * check every PUBACK. One JSON argument in ({@link LoadOptions}), one JSON line out ({@link LoadResult}).
 *
 * As cheap as it can be, so that it is the server that is measured: a packet is a copy of a template with its digits
 * filled in, and what one chunk of acks allows goes out in one write.
 */
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { cpuSecondsOf } from "./measure.js";
import { type LoadOptions, type LoadResult, PAYLOAD_BYTES } from "./publisher-options.js";

const ACK_BYTES = 4;
const FIRST_SEQ = 1_000_000_000;
const READING_INTERVAL_MS = 1_000;
/** Event time starts here, so that no load runs ahead of the clock. */
const BACKLOG_MS = 86_400_000;
const DRAIN_LIMIT_MS = 60_000;

const TS = "1700000000000";
const SEQ = String(FIRST_SEQ);
const TEMPERATURE = "21.50";

/** A device's PUBLISH, and where in it the digits are. */
interface Template {
  bytes: Buffer;
  packetId: number;
  ts: number;
  seq: number;
  temperature: number;
}

function template(device: string): Template {
  const topic = Buffer.from(`devices/${device}/telemetry`);
  const head = `{"ts":${TS},"seq":${SEQ},"values":{"temperature":${TEMPERATURE},"humidity":40.25},"boot":"`;
  const payload = `${head}${"b".repeat(PAYLOAD_BYTES - head.length - 2)}"}`;
  const remaining = 2 + topic.length + 2 + payload.length;
  const length = remaining < 128 ? [remaining] : [(remaining & 0x7f) | 0x80, remaining >> 7];
  const bytes = Buffer.concat([
    Buffer.from([0x32, ...length, topic.length >> 8, topic.length & 0xff]),
    topic,
    Buffer.from([0, 0]),
    Buffer.from(payload),
  ]);
  const body = bytes.length - payload.length;
  return {
    bytes,
    packetId: body - 2,
    ts: body + payload.indexOf(TS),
    seq: body + payload.indexOf(SEQ),
    temperature: body + payload.indexOf(TEMPERATURE),
  };
}

/** Writes the lowest `digits` decimal digits of `value`. */
function writeDigits(bytes: Buffer, at: number, value: number, digits: number): void {
  let rest = value;
  for (let i = at + digits - 1; i >= at; i--) {
    const next = Math.floor(rest / 10);
    bytes[i] = 0x30 + rest - next * 10;
    rest = next;
  }
}

class Publisher {
  acked = 0;
  sent = 0;
  stopped = false;
  failure: Error | undefined;
  readonly #socket: Socket;
  readonly #templates: Template[];
  readonly #window: number;
  readonly #startTs: number;
  #rest: Buffer = Buffer.alloc(0);
  #connected = false;
  #opened: () => void = () => undefined;

  constructor(options: LoadOptions, index: number, startTs: number) {
    this.#window = options.window;
    this.#startTs = startTs;
    this.#templates = Array.from({ length: options.devicesPerConnection }, (_, i) =>
      template(`bench-${String(index).padStart(3, "0")}-${String(i).padStart(3, "0")}`),
    );
    this.#socket = connect({ port: options.port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("data", (chunk) => this.#receive(chunk));
    this.#socket.on("error", (error) => this.#fail(error));
    this.#socket.on("close", () => this.#fail(new Error("the server closed the connection")));
    this.#socket.write(connectPacket(`bench-${index}`));
  }

  /** Resolves when the CONNACK is here, or the connection failed. */
  opened(): Promise<void> {
    return new Promise((resolve) => {
      this.#opened = resolve;
    });
  }

  start(): void {
    this.#send(this.#window);
  }

  end(): void {
    this.#socket.removeAllListeners("close");
    this.#socket.end(Buffer.from([0xe0, 0]));
  }

  #fail(error: Error): void {
    this.failure ??= error;
    this.#socket.destroy();
    this.#opened();
  }

  /** CONNACK and PUBACK both have four bytes. */
  #receive(chunk: Buffer): void {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    const whole = bytes.length - (bytes.length % ACK_BYTES);
    this.#rest = bytes.subarray(whole);
    const before = this.acked;
    for (let at = 0; at < whole; at += ACK_BYTES) {
      if (!this.#connected) this.#connack(bytes, at);
      else if (bytes[at] === 0x40 && bytes.readUInt16BE(at + 2) === packetIdOf(this.acked)) this.acked++;
      else this.#fail(new Error(`expected the PUBACK of ${packetIdOf(this.acked)}`));
    }
    if (this.acked > before && !this.stopped) this.#send(this.acked - before);
  }

  #connack(bytes: Buffer, at: number): void {
    if (bytes[at] !== 0x20 || bytes[at + 3] !== 0) this.#fail(new Error("the connection was refused"));
    this.#connected = true;
    this.#opened();
  }

  #send(count: number): void {
    const size = this.#templates[0]!.bytes.length;
    const bytes = Buffer.allocUnsafe(count * size);
    for (let i = 0; i < count; i++, this.sent++) {
      const at = i * size;
      const devices = this.#templates.length;
      const { bytes: packet, packetId, ts, seq, temperature } = this.#templates[this.sent % devices]!;
      packet.copy(bytes, at);
      bytes.writeUInt16BE(packetIdOf(this.sent), at + packetId);
      const round = Math.floor(this.sent / devices);
      writeDigits(bytes, at + ts, this.#startTs + round * READING_INTERVAL_MS, TS.length);
      writeDigits(bytes, at + seq, FIRST_SEQ + round, SEQ.length);
      writeDigits(bytes, at + temperature + 3, (this.sent * 37) % 100, 2);
    }
    this.#socket.write(bytes);
  }
}

/** Packet ids run in a circle and are never 0. */
function packetIdOf(message: number): number {
  return 1 + (message % 65_535);
}

function connectPacket(clientId: string): Buffer {
  const id = Buffer.from(clientId);
  const head = [0x10, 12 + id.length, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 0, 0, id.length];
  return Buffer.concat([Buffer.from(head), id]);
}

async function run(options: LoadOptions): Promise<LoadResult> {
  const startTs = Math.floor((Date.now() - BACKLOG_MS) / READING_INTERVAL_MS) * READING_INTERVAL_MS;
  const publishers = Array.from(
    { length: options.connections },
    (_, index) => new Publisher(options, index, startTs),
  );
  const sum = (value: (publisher: Publisher) => number) => publishers.reduce((n, p) => n + value(p), 0);
  const check = () => {
    const failed = publishers.find((publisher) => publisher.failure);
    if (failed) throw failed.failure;
  };
  await Promise.all(publishers.map((publisher) => publisher.opened()));
  check();
  for (const publisher of publishers) publisher.start();
  await delay(options.warmupMs);

  const state = () => ({
    acked: sum((p) => p.acked),
    ms: performance.now(),
    server: cpuSecondsOf(options.serverPid),
    own: process.cpuUsage(),
  });
  const from = state();
  await delay(options.measureMs);
  const to = state();

  for (const publisher of publishers) publisher.stopped = true;
  const drainUntil = performance.now() + DRAIN_LIMIT_MS;
  while (sum((p) => p.acked) < sum((p) => p.sent)) {
    check();
    if (performance.now() > drainUntil) throw new Error("some messages were never acked");
    await delay(5);
  }
  check();
  for (const publisher of publishers) publisher.end();
  return {
    acked: to.acked - from.acked,
    seconds: (to.ms - from.ms) / 1_000,
    serverCpuSeconds: to.server - from.server,
    ownCpuSeconds: (to.own.user + to.own.system - from.own.user - from.own.system) / 1e6,
    ackedInAll: sum((p) => p.acked),
  };
}

const result = await run(JSON.parse(process.argv[2]!) as LoadOptions);
process.stdout.write(`${JSON.stringify(result)}\n`);
