/**
 * A real Kafka for end-to-end tests, of one node or three, from deploy/kafka.
 */
import { execFile, spawnSync } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { openKafkaLog } from "../../adapters/log/kafka/index.js";
import type { Log } from "../../contracts/ports/log.js";
import { systemClock } from "../../runtime/clock.js";
import { createLogger } from "../../runtime/logger.js";
import { atExit, ROOT, type Workspace } from "./harness.js";

const run = promisify(execFile);

/** What a machine must have to run it. */
export const KAFKA_NEEDS = ["java", "mvn"];

export class Kafka {
  readonly brokers: readonly string[];
  readonly #dir: string;

  private constructor(dir: string, brokers: readonly string[]) {
    this.#dir = dir;
    this.brokers = brokers;
  }

  /** Starts it; stopped with the workspace. */
  static async start(space: Workspace, nodes: 1 | 3 = 1): Promise<Kafka> {
    const server = JSON.parse(await deploy("up", "--json", "--nodes", `${nodes}`)) as {
      dir: string;
      brokers: string[];
    };
    const down = atExit(() => spawnSync(script("down"), [server.dir]));
    space.onClose(async () => {
      await deploy("down", server.dir);
      down();
    });
    return new Kafka(server.dir, server.brokers);
  }

  /** Settings of a Sluice that keeps its log here. */
  get env(): Record<string, string> {
    return { SLUICE_LOG: "kafka", SLUICE_KAFKA_BROKERS: this.brokers.join(",") };
  }

  /** As in a crash: SIGKILL. */
  async kill(node = 1): Promise<void> {
    await deploy("node", "kill", this.#dir, `${node}`);
  }

  /** Starts a killed node again, on its old port and data; resolves when the cluster counts it as alive. */
  async restart(node = 1): Promise<void> {
    await deploy("node", "start", this.#dir, `${node}`);
  }

  /** The log as another process sees it; closed with the workspace, before the cluster. */
  async openLog(space: Workspace): Promise<Log> {
    const log = await openKafkaLog({
      brokers: [...this.brokers],
      clientId: "e2e",
      clock: systemClock,
      logger: createLogger("silent"),
    });
    space.onClose(() => log.close());
    return log;
  }
}

function script(command: string): string {
  return join(ROOT, "deploy", "kafka", command);
}

async function deploy(command: string, ...args: string[]): Promise<string> {
  return (await run(script(command), args)).stdout;
}
