/**
 * The gateways of a world: one or two, each with a clock of its own that may be wrong, and the devices' connections to
 * them. A gateway that is killed takes its connections, its queue and what it remembers of re-sends with it.
 */
import { partitionForKey } from "../../adapters/log/partitioner.js";
import { Bridge } from "../../gateway/bridge/bridge.js";
import { Admitter } from "../../gateway/ingest/admit.js";
import { DEFAULT_LIMITS } from "../../gateway/limits.js";
import { MemoryLog } from "../../testkit/memory-log.js";
import { ProcessClock } from "../../testkit/virtual-clock.js";
import { faultsOf } from "./trouble.js";
import { SILENT, type World } from "./world.js";

/** One PUBLISH. */
export interface Message {
  deviceId: string;
  payload: Buffer;
  qos: 0 | 1;
  dup: boolean;
  messageId: number;
}

/** One run of a gateway process. */
interface Gateway {
  /** Unique per run. */
  run: string;
  alive: boolean;
  clock: ProcessClock;
  log: MemoryLog;
  admitter: Admitter;
  bridge: Bridge;
}

/** A machine: its clock stays wrong when the gateway on it is restarted. */
interface Machine {
  clockErrorMs: number;
  gateway: Gateway | undefined;
}

export class Gateways {
  readonly #world: World;
  readonly #machines: Machine[] = [];
  readonly #connections = new Map<string, Gateway>();
  #runs = 0;

  constructor(world: World) {
    this.#world = world;
  }

  get count(): number {
    return this.#machines.length;
  }

  /** True when no gateway has anything left to append. */
  idle(): boolean {
    return this.#machines.every(({ gateway }) => !gateway || gateway.bridge.waiting === 0);
  }

  /** Adds a machine and starts a gateway on it. */
  add(): void {
    this.#machines.push({ clockErrorMs: 0, gateway: undefined });
    this.start(this.#machines.length - 1);
  }

  start(machine: number): void {
    const world = this.#world;
    const place = this.#machines[machine]!;
    const log = new MemoryLog(
      world.logData,
      partitionForKey,
      faultsOf(world, () => world.trouble, true),
    );
    const clock = new ProcessClock(world.clock, place.clockErrorMs);
    const bridge = new Bridge({ log, clock, logger: SILENT, limits: DEFAULT_LIMITS, onRetry: () => {} });
    const run = `run${this.#runs++}`;
    place.gateway = { run, alive: true, clock, log, bridge, admitter: new Admitter(DEFAULT_LIMITS, run) };
  }

  /** kill -9. */
  kill(machine: number): void {
    const { gateway } = this.#machines[machine]!;
    if (!gateway) return;
    gateway.alive = false;
    gateway.log.kill();
    gateway.clock.kill();
    this.#machines[machine]!.gateway = undefined;
  }

  /** A random machine. */
  pick(): number {
    return this.#world.rng.int(this.#machines.length);
  }

  setClockError(machine: number, errorMs: number): void {
    this.#machines[machine]!.clockErrorMs = errorMs;
    this.#machines[machine]!.gateway?.clock.setError(errorMs);
  }

  /** The gateway a device is connected to; it connects to any that runs. */
  connected(deviceId: string): Gateway | undefined {
    const current = this.#connections.get(deviceId);
    if (current?.alive) return current;
    const running = this.#machines.flatMap(({ gateway }) => gateway ?? []);
    if (running.length === 0) return undefined;
    const gateway = this.#world.rng.pick(running);
    this.#connections.set(deviceId, gateway);
    return gateway;
  }

  disconnect(deviceId: string): void {
    this.#connections.delete(deviceId);
  }

  /**
   * Hands a message over as the broker's hook does.
   * @returns true once acked, false when refused; never returns when the gateway dies first
   */
  async publish(gateway: Gateway, { deviceId, payload, qos, dup, messageId }: Message): Promise<boolean> {
    const admitted = gateway.admitter.admit(
      {
        ...{ topic: `devices/${deviceId}/telemetry`, payload, clientId: deviceId, qos, dup },
        ...(qos === 0 ? {} : { messageId }),
        ingestTs: gateway.clock.now(),
      },
      deviceId,
    );
    const durable = await new Promise<boolean>((resolve) => {
      gateway.bridge.deliver(admitted, (error) => resolve(error === undefined));
    });
    return durable && gateway.alive;
  }
}
