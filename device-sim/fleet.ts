/**
 * Runs a fleet of simulated devices against a gateway and keeps the ledger of what it sent.
 *
 * Open loop: readings are due by the schedule, whatever the gateway does; one that cannot be sent yet waits its turn
 * and keeps its due time, so that latencies show the wait (no coordinated omission). With rate 0 the loop is closed:
 * everything is due at once and the window of each device sets the pace.
 */
import type { Clock } from "../contracts/ports/clock.js";
import type { Logger } from "../runtime/logger.js";
import type { Baseline } from "./baseline.js";
import { checkOpenFiles, sourceAddress } from "./capacity.js";
import { Device } from "./device.js";
import { Ledger, type LedgerEnd, type LedgerHeader } from "./ledger.js";
import { LedgerFile } from "./ledger-file.js";
import { openLightLink } from "./link-light.js";
import { openMqttJsLink } from "./link-mqttjs.js";
import { deviceName } from "./message.js";
import { type SimOptions, type SimOptionsInput, simOptionsSchema } from "./options.js";
import { type FleetPlan, planFleet } from "./plan.js";
import { Random } from "./random.js";
import { Recorder } from "./recorder.js";
import type { Scenario } from "./scenario.js";
import { deviceScript } from "./script.js";

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
  /** Who measures what, when, in place of the options on devices, rate, duration, faults and anomalies. */
  scenario?: Scenario;
  /** Called once, before anything is sent, for those who watch the run; `elapsedMs` is its clock. */
  onStart?: (ledger: Ledger, elapsedMs: () => number) => void;
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
  const { clock, logger, baseline, onStart, onProgress, signal, scenario, ...input } = options;
  const sim = simOptionsSchema.parse(input);
  const startedAt = clock.now();
  const plan = planFleet(sim, scenario, startedAt);
  checkOpenFiles(plan.devices);
  const header = makeHeader(sim, plan, startedAt, baseline);
  const file = sim.ledgerPath === undefined ? undefined : new LedgerFile(sim.ledgerPath, header);
  const recorder = new Recorder(new Ledger(header), file);
  const fleet = new Fleet(sim, plan, header, recorder, clock, logger);
  onStart?.(recorder.ledger, () => fleet.elapsedMs());
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

function makeHeader(
  sim: SimOptions,
  plan: FleetPlan,
  startedAt: number,
  baseline: Baseline | undefined,
): LedgerHeader {
  const boot = `b${startedAt.toString(36)}`;
  return {
    v: 1,
    kind: "sluice.ledger",
    seed: sim.seed,
    devices: plan.devices,
    prefix: sim.prefix ?? `sim-${boot}-`,
    boot,
    metrics: plan.metrics,
    qos: sim.qos,
    startedAt,
    anomalies: plan.anomalies,
    ...(baseline && { baseline }),
  };
}

class Fleet {
  readonly #sim: SimOptions;
  readonly #plan: FleetPlan;
  readonly #recorder: Recorder;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #devices: Device[];
  /** By device: when its next new message is due. One array, so that looking through a large fleet costs next to nothing. */
  readonly #dueMs: Float64Array;
  readonly #beganMs: number;
  /** Still to come. */
  readonly #stormsMs: number[];
  /** How many devices have been told to connect. */
  #started = 0;
  #errors = 0;

  constructor(
    sim: SimOptions,
    plan: FleetPlan,
    header: LedgerHeader,
    recorder: Recorder,
    clock: Clock,
    logger: Logger,
  ) {
    this.#sim = sim;
    this.#plan = plan;
    this.#stormsMs = [...plan.stormsMs];
    this.#recorder = recorder;
    this.#clock = clock;
    this.#logger = logger;
    this.#beganMs = clock.monotonicMs();
    this.#dueMs = new Float64Array(plan.devices);
    this.#devices = Array.from({ length: plan.devices }, (_, index) => this.#makeDevice(index, header));
  }

  async run(onProgress: (progress: FleetProgress) => void, signal: AbortSignal | undefined): Promise<void> {
    const dueMs = this.#plan.paced ? this.#sim.rampMs + this.#plan.durationMs : 0;
    let shownMs = 0;
    let seen = 0;
    let seenAtMs = 0;
    while (!signal?.aborted) {
      const nowMs = this.elapsedMs();
      this.#startRamped(nowMs);
      this.#storm(nowMs);
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

  /** Milliseconds since the start of the run. */
  elapsedMs(): number {
    return this.#clock.monotonicMs() - this.#beganMs;
  }

  unfinished(): number {
    return this.#devices.filter((device) => !device.finished).length;
  }

  result(): FleetResult {
    const { ledger } = this.#recorder;
    return { ...this.#progress(), ledger, ...ledger.end! };
  }

  #makeDevice(index: number, header: LedgerHeader): Device {
    const { seed, url, client, qos, window } = this.#sim;
    const { prefix, boot } = header;
    const anomalies = header.anomalies.filter((anomaly) => anomaly.device === index);
    const { paced, startTs, metrics, offsetMs } = this.#plan;
    const { signals, faults, stepMs, count } = this.#plan.device(index);
    const random = Random.seeded(seed, 0xde71_0000 + index);
    // Spread over a step, so that the fleet does not speak in unison.
    const phaseMs = Math.floor(random.float() * stepMs);
    const beginMs = paced ? this.#rampMs(index) : 0;
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
      elapsedMs: () => this.elapsedMs(),
      script: deviceScript({
        ...{ seed, device: index, prefix, boot, count, startTs, signals, metrics, paced, faults, anomalies },
        offsetMs: (n) => beginMs + offsetMs(phaseMs + n * stepMs),
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

  /** Everyone loses the connection, and everyone is back at the door at once. */
  #storm(nowMs: number): void {
    if (!(this.#stormsMs[0]! <= nowMs)) return;
    this.#stormsMs.shift();
    for (const device of this.#devices) device.drop();
  }

  /** Re-sends and full windows are the devices' own business: they go on when an ack or a connection comes. */
  #pumpDue(nowMs: number): void {
    for (let index = 0; index < this.#dueMs.length; index++) {
      if (this.#dueMs[index]! <= nowMs) this.#devices[index]!.pump();
    }
  }

  #rampMs(index: number): number {
    return Math.floor((this.#sim.rampMs * index) / this.#plan.devices);
  }

  #startRamped(nowMs: number): void {
    while (this.#started < this.#devices.length && this.#rampMs(this.#started) <= nowMs) {
      this.#devices[this.#started++]!.start();
    }
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
    return { elapsedMs: this.elapsedMs(), sends, sent: ledger.size, acked, inFlight, connected, errors };
  }
}
