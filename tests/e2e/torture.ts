/**
 * Torture: fleets in the background, random faults at random moments, the verdict at the end of each round. One data
 * folder and one log for all rounds, so that every round starts on what the crashes of the earlier ones left.
 *
 * Embedded, rounds take turns: everything in one process, or gateway and processor apart. With Kafka, three brokers,
 * two gateways and two processors; at most one broker is down at any time.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../../contracts/ports/log.js";
import { Random } from "../../device-sim/random.js";
import type { VerifyReport } from "../../device-sim/verify.js";
import { embeddedLog } from "./clients.js";
import { assertReconciled, judge, problemsOf, type RunningFleet, startFleet } from "./fleet.js";
import { type Sluice, Workspace } from "./harness.js";
import { Kafka } from "./kafka.js";

export interface TortureOptions {
  minutes: number;
  kafka: boolean;
  /** Decides which faults come, and when. The machine decides what they hit. */
  seed: number;
  /** Told of each thing that happens, a line each. */
  onEvent: (line: string) => void;
}

export interface TortureResult {
  rounds: number;
  /** What was done, and how often. */
  faults: Record<string, number>;
  /** Sums over the verdicts of all fleets. */
  checked: Record<(typeof CHECKED)[number] | "windows" | "reconciled", number>;
  /** Every difference found; none when all is well. */
  problems: string[];
}

const CHECKED = [
  "sent",
  "sends",
  "acked",
  "readings",
  "repeats",
  "invalidSeen",
  "lost",
  "duplicated",
] as const;

const ROUND_MS = 60_000;
const LOAD = {
  devices: 30,
  ratePerDevice: 10,
  faults: { duplicates: 0.02, reordered: 0.02, malformed: 0.01, late: 0.02, cuts: 0.002 },
};

interface Fault {
  name: string;
  inject(random: Random): Promise<void>;
}

/** What runs during one round. */
interface Setup {
  gateways: Sluice[];
  /** Answers for rollups. */
  rollups: Sluice;
  processes: Sluice[];
}

/** @throws Error when something cannot be started; differences are in the result */
export async function torture(options: TortureOptions): Promise<TortureResult> {
  const space = new Workspace();
  const run = new Torture(space, options);
  try {
    return await run.run();
  } catch (error) {
    options.onEvent(space.logs());
    throw error;
  } finally {
    await space.close();
  }
}

class Torture {
  readonly #space: Workspace;
  readonly #options: TortureOptions;
  readonly #random: Random;
  readonly #endMs: number;
  readonly #result: TortureResult;

  constructor(space: Workspace, options: TortureOptions) {
    this.#space = space;
    this.#options = options;
    this.#random = Random.seeded(options.seed, 0);
    this.#endMs = performance.now() + options.minutes * 60_000;
    const checked = { ...zeros(CHECKED), windows: 0, reconciled: 0 };
    this.#result = { rounds: 0, faults: {}, checked, problems: [] };
  }

  async run(): Promise<TortureResult> {
    const kafka = this.#options.kafka ? await Kafka.start(this.#space, 3) : undefined;
    const log = kafka ? await kafka.openLog(this.#space) : await embeddedLog(this.#space);
    do {
      const setup = kafka ? await this.#startApart(2, kafka.env) : await this.#startEmbedded();
      await this.#round(setup, log, kafka);
      for (const process of setup.processes) await process.stop();
    } while (performance.now() < this.#endMs && this.#result.problems.length === 0);
    return this.#result;
  }

  async #startEmbedded(): Promise<Setup> {
    if (this.#result.rounds % 2 === 1) return this.#startApart(1, {});
    const sluice = await this.#space.start();
    return { gateways: [sluice], rollups: sluice, processes: [sluice] };
  }

  async #startApart(each: number, env: Record<string, string>): Promise<Setup> {
    const processors: Sluice[] = [];
    const gateways: Sluice[] = [];
    for (let i = 0; i < each; i++) {
      processors.push(await this.#space.start({ command: "processor", env }));
      gateways.push(await this.#space.start({ command: "gateway", env }));
    }
    return { gateways, rollups: processors[0]!, processes: [...gateways, ...processors] };
  }

  async #round(setup: Setup, log: Log, kafka: Kafka | undefined): Promise<void> {
    const { onEvent } = this.#options;
    const round = ++this.#result.rounds;
    const fleets = await Promise.all(
      setup.gateways.map((gateway, i) =>
        startFleet(this.#space, log, gateway.mqttUrl, {
          ...LOAD,
          ...{ seed: this.#random.int(1_000_000), prefix: `round${round}-${i}-${Date.now().toString(36)}-` },
        }),
      ),
    );
    const roundEndMs = Math.min(this.#endMs, performance.now() + ROUND_MS);
    const faults = setup.processes.flatMap(processFaults);
    const brokers = kafka ? brokerFaults(kafka) : [];
    do {
      await sleep(this.#random.float() * 3_000);
      const { name, inject } = this.#pick(brokers.length > 0 && this.#random.chance(0.3) ? brokers : faults);
      onEvent(`round ${round}: ${name}`);
      await inject(this.#random);
      this.#result.faults[name] = (this.#result.faults[name] ?? 0) + 1;
      await Promise.all(fleets.map((fleet) => fleet.progressed(100)));
    } while (performance.now() < roundEndMs);
    for (const [i, fleet] of fleets.entries()) await this.#judge(fleet, setup, i, log, kafka !== undefined);
    this.#result.checked.reconciled += await this.#reconcile(kafka?.env ?? {});
  }

  #pick(faults: readonly Fault[]): Fault {
    return faults[this.#random.int(faults.length)]!;
  }

  async #judge(fleet: RunningFleet, setup: Setup, i: number, log: Log, logFailed: boolean): Promise<void> {
    const judged = { log, gateway: setup.gateways[i]!, rollups: setup.rollups };
    const report = await judge(fleet, judged);
    const { checked, problems, rounds } = this.#result;
    for (const name of CHECKED) checked[name] += report[name];
    checked.windows += report.rollups.windows;
    const found = problemsOf(report, logFailed).map((problem) => `round ${rounds}: ${problem}`);
    problems.push(...found);
    this.#options.onEvent(`round ${rounds}: ${report.readings} readings judged, ${found.length} problems`);
    if (found.length > 0) this.#options.onEvent(details(report) + this.#space.logs());
  }

  async #reconcile(env: Record<string, string>): Promise<number> {
    try {
      return await assertReconciled(this.#space, env);
    } catch (error) {
      this.#result.problems.push(`round ${this.#result.rounds}: ${(error as Error).message}`);
      return 0;
    }
  }
}

function processFaults(process: Sluice): Fault[] {
  return [
    {
      name: `kill -9 ${process.name}`,
      inject: async () => {
        await process.kill();
        await process.start();
      },
    },
    {
      name: `SIGTERM ${process.name}`,
      inject: async () => {
        await process.stop();
        await process.start();
      },
    },
    {
      name: `freeze ${process.name}`,
      inject: async (random) => {
        process.freeze();
        await sleep(500 + random.float() * 3_500);
        process.thaw();
      },
    },
  ];
}

function brokerFaults(kafka: Kafka): Fault[] {
  return kafka.brokers.map((_, i) => ({
    name: "kill -9 Kafka node",
    inject: async (random) => {
      await kafka.kill(i + 1);
      await sleep(random.float() * 5_000);
      await kafka.restart(i + 1);
    },
  }));
}

function details(report: VerifyReport): string {
  const { lostFirst, findings, rollupMismatches } = report;
  return `${JSON.stringify({ lostFirst, findings, rollupMismatches }, null, 1)}\n`;
}

function zeros<K extends string>(names: readonly K[]): Record<K, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<K, number>;
}
