/**
 * A process that appends readings to Kafka until it gets SIGTERM, as a gateway under load does.
 *
 *     kafka-gateway <brokers> <gateway: 0|1>
 *
 * Says "sent <n>" at the end: indexes [0, n) are in the log.
 */
import { openKafkaLog } from "../../adapters/log/kafka/index.js";
import { TOPICS } from "../../contracts/topics.js";
import { systemClock } from "../../runtime/clock.js";
import { createLogger } from "../../runtime/logger.js";
import { readingsAt } from "./kafka-readings.js";

const BATCH = 20;
const PAUSE_MS = 50;

const [brokers = "", gateway = ""] = process.argv.slice(2);
const log = await openKafkaLog({
  brokers: brokers.split(","),
  clientId: `gateway-${gateway}`,
  clock: systemClock,
  logger: createLogger("error"),
});
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());
let sent = 0;
while (!stop.signal.aborted) {
  const readings = Array.from({ length: BATCH }, (_, i) => readingsAt(Number(gateway), sent + i)).flat();
  const records = readings.map((reading) => ({
    key: reading.deviceId,
    value: Buffer.from(JSON.stringify(reading)),
    timestamp: reading.ingestTs,
  }));
  await log.append(TOPICS.readings, records);
  sent += BATCH;
  await systemClock.sleep(PAUSE_MS);
}
await log.close();
process.stdout.write(`sent ${sent}\n`);
