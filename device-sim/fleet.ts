/**
 * Runs a fleet of simulated devices against a gateway and keeps the ledger of what it sent.
 *
 * Open loop: readings are due by the schedule, whatever the gateway does; one that cannot be sent yet waits its turn
 * and keeps its due time, so that latencies show the wait (no coordinated omission). With rate 0 the loop is closed:
 * everything is due at once and the window of each device sets the pace.
 */
import type { Clock } from "../contracts/ports/clock.js";
import type { Logger } from "../runtime/logger.js";
import { planAnomalies } from "./anomalies.js";
import type { Baseline } from "./baseline.js";
import { checkOpenFiles, sourceAddress } from "./capacity.js";
import { Device } from "./device.js";
import { Ledger, type LedgerEnd, type LedgerHeader } from "./ledger.js";
import { LedgerFile } from "./ledger-file.js";
import { openLightLink } from "./link-light.js";
import { openMqttJsLink } from "./link-mqttjs.js";
import { deviceName } from "./message.js";
import { type SimOptions, type SimOptionsInput, simOptionsSchema } from "./options.js";
import { Random } from "./random.js";
import { Recorder } from "./recorder.js";
import { deviceScript } from "./script.js";
import { METRICS } from "./signals.js";

export interface FleetProgress {
  elapsedMs: number;
  /** Publishes, re-sends included. */
  sends: number;
  /** Distinct messages. */
  sent: number;
  acked: number;
  inFlight: number;
  connected: number;
  /** Failed and lost connections so far. */
  errors: number;
}

export interface FleetResult extends FleetProgress, LedgerEnd {
  ledger: Ledger;
}

export type FleetOptions = SimOptionsInput & {
  clock: Clock;
  logger: Logger;
  /** Written into the ledger, so that it can be verified later. */
  baseline?: Baseline;
  /** Called about once a second, and once at the end. */
  onProgress?: (progress: FleetProgress) => void;
  /** Stops sending and ends the run early; the result tells what was sent until then. */
  signal?: AbortSignal;
};

/** How often due readings are looked for: the resolution of the schedule. */
const TICK_MS = 5;
const PROGRESS_MS = 1_000;

/**
 * Runs the fleet until every message is acked, `drainMs` passes without progress, or the signal aborts.
 * @throws ZodError on bad options; SluiceError CONFIG_INVALID when the ledger file cannot be created, or the operating
 * system does not allow so many connections
 */
export async function runFleet(options: FleetOptions): Promise<FleetResult> {
  const { clock, logger, baseline, onProgress, signal, ...input } = options;
  const sim = simOptionsSchema.parse(input);
  checkOpenFiles(sim.devices);
  const header = makeHeader(sim, clock, baseline);
  const file = sim.ledgerPath === undefined ? undefined : new LedgerFile(sim.ledgerPath, header);
  const recorder = new Recorder(new Ledger(header), file);
  const fleet = new Fleet(sim, header, recorder, clock, logger);
  try {
    await fleet.run(onProgress ?? (() => undefined), signal);
  } finally {
    await fleet.close();
    recorder.close({ unfinished: fleet.unfinished(), aborted: signal?.aborted ?? false });
  }
  const result = fleet.result();
  onProgress?.(result);
  return result;
}

/** When events happen: `count` readings per device, `stepMs` apart, the first at `startTs` plus its offset. */
function timeline(sim: SimOptions, now: number) {
  const paced = sim.ratePerDevice > 0;
  const stepMs = paced ? 1_000 / sim.ratePerDevice : sim.stepMs;
  // 60 s at 3 a second are 180 readings, though 1000 / 3 is not exact.
  const count = Math.max(1, Math.floor(sim.durationMs / stepMs + 1e-9));
  // Made-up event times end before now: none is ahead of the gateway's clock.
  const startTs = paced ? now : now - Math.ceil(count * stepMs);
  return { paced, stepMs, count, startTs };
}

function makeHeader(sim: SimOptions, clock: Clock, baseline: Baseline | undefined): LedgerHeader {
  const startedAt = clock.now();
  const boot = `b${startedAt.toString(36)}`;
  const { startTs, stepMs, count } = timeline(sim, startedAt);
  const anomalies = planAnomalies({
    seed: sim.seed,
    devices: Math.min(sim.anomalies, sim.devices),
    kinds: sim.anomalyKinds,
    from: startTs,
    to: Math.ceil(startTs + count * stepMs),
    stepMs,
  });
  return {
    v: 1,
    kind: "sluice.ledger",
    seed: sim.seed,
    devices: sim.devices,
    prefix: sim.prefix ?? `sim-${boot}-`,
    boot,
    metrics: [...METRICS],
    qos: sim.qos,
    startedAt,
    anomalies,
    ...(baseline && { baseline }),
  };
}

class Fleet {
  readonly #sim: SimOptions;
  readonly #recorder: Recorder;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #devices: Device[];
  /** By device: when its next new message is due. One array, so that looking through a large fleet costs next to nothing. */
  readonly #dueMs: Float64Array;
  readonly #beganMs: number;
  /** How many devices have been told to connect. */
  #started = 0;
  #errors = 0;

  constructor(sim: SimOptions, header: LedgerHeader, recorder: Recorder, clock: Clock, logger: Logger) {
    this.#sim = sim;
    this.#recorder = recorder;
    this.#clock = clock;
    this.#logger = logger;
    this.#beganMs = clock.monotonicMs();
    this.#dueMs = new Float64Array(sim.devices);
    this.#devices = Array.from({ length: sim.devices }, (_, index) => this.#makeDevice(index, header));
  }

  async run(onProgress: (progress: FleetProgress) => void, signal: AbortSignal | undefined): Promise<void> {
    const dueMs = this.#sim.ratePerDevice > 0 ? this.#sim.rampMs + this.#sim.durationMs : 0;
    let shownMs = 0;
    let seen = 0;
    let seenAtMs = 0;
    while (!signal?.aborted) {
      const nowMs = this.#elapsedMs();
      this.#startRamped(nowMs);
      this.#pumpDue(nowMs);
      this.#recorder.flush();
      if (this.#devices.every((device) => device.finished)) return;
      // Acks, and first sends for QoS 0 which has none; re-sends are no progress.
      const progress = this.#recorder.acked + this.#recorder.ledger.size;
      if (progress !== seen) {
        seen = progress;
        seenAtMs = nowMs;
      }
      if (nowMs - Math.max(seenAtMs, dueMs) > this.#sim.drainMs) return;
      if (nowMs - shownMs >= PROGRESS_MS) {
        shownMs = nowMs;
        onProgress(this.#progress());
      }
      await this.#clock.sleep(TICK_MS);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#devices.slice(0, this.#started).map((device) => device.close()));
  }

  unfinished(): number {
    return this.#devices.filter((device) => !device.finished).length;
  }

  result(): FleetResult {
    const { ledger } = this.#recorder;
    return { ...this.#progress(), ledger, ...ledger.end! };
  }

  #makeDevice(index: number, header: LedgerHeader): Device {
    const { seed, url, client, qos, window, faults } = this.#sim;
    const { prefix, boot } = header;
    const anomalies = header.anomalies.filter((anomaly) => anomaly.device === index);
    const { paced, stepMs, count, startTs } = timeline(this.#sim, header.startedAt);
    const random = Random.seeded(seed, 0xde71_0000 + index);
    // Spread over a step, so that the fleet does not speak in unison.
    const firstMs = (paced ? this.#rampMs(index) : 0) + Math.floor(random.float() * stepMs);
    return new Device({
      id: deviceName(prefix, index),
      index,
      url,
      openLink: client === "light" ? openLightLink : openMqttJsLink,
      sourceAddress: client === "light" ? sourceAddress(url, index) : undefined,
      qos,
      window,
      random,
      paced,
      recorder: this.#recorder,
      clock: this.#clock,
      elapsedMs: () => this.#elapsedMs(),
      script: deviceScript({
        seed,
        device: index,
        prefix,
        boot,
        count,
        startTs,
        firstMs,
        stepMs,
        paced,
        faults,
        anomalies,
      }),
      schedule: (dueMs) => {
        this.#dueMs[index] = dueMs;
      },
      onError: (error) => {
        this.#errors++;
        this.#logger.debug({ err: error, device: deviceName(prefix, index) }, "connection failed");
      },
    });
  }

  /** Re-sends and full windows are the devices' own business: they go on when an ack or a connection comes. */
  #pumpDue(nowMs: number): void {
    for (let index = 0; index < this.#dueMs.length; index++) {
      if (this.#dueMs[index]! <= nowMs) this.#devices[index]!.pump();
    }
  }

  #rampMs(index: number): number {
    return Math.floor((this.#sim.rampMs * index) / this.#sim.devices);
  }

  #startRamped(nowMs: number): void {
    while (this.#started < this.#devices.length && this.#rampMs(this.#started) <= nowMs) {
      this.#devices[this.#started++]!.start();
    }
  }

  #elapsedMs(): number {
    return this.#clock.monotonicMs() - this.#beganMs;
  }

  #progress(): FleetProgress {
    let inFlight = 0;
    let connected = 0;
    for (const device of this.#devices) {
      inFlight += device.inFlight;
      if (device.connected) connected++;
    }
    const { sends, acked, ledger } = this.#recorder;
    const errors = this.#errors;
    return { elapsedMs: this.#elapsedMs(), sends, sent: ledger.size, acked, inFlight, connected, errors };
  }
}
