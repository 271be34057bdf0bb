/**
 * Records what passes a broker: subscribes, and writes every message with its time of arrival.
 *
 * A message is acked to the broker once its line was handed to the operating system. While the connection is down
 * nothing is recorded; the connection comes back by itself.
 */
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import { connectAsync } from "mqtt";
import { SluiceError } from "../contracts/errors.js";
import type { Clock } from "../contracts/ports/clock.js";
import { recordingHeader, recordingLine } from "./recording.js";

export interface RecordOptions {
  url: string;
  /** Topic filters. */
  topics: readonly string[];
  /** Must not exist. */
  path: string;
  clock: Clock;
  /** Ends the recording. */
  signal: AbortSignal;
  /** Subscribed: from now on nothing is missed. */
  onReady?: () => void;
  onMessage?: (count: number) => void;
}

const RECONNECT_MS = 1_000;

/**
 * Records until the signal aborts. @returns how many messages
 * @throws SluiceError CONFIG_INVALID when the file exists or cannot be made, or the broker refuses the subscription
 */
export async function record(options: RecordOptions): Promise<number> {
  const { url, topics, path, clock, signal, onReady, onMessage } = options;
  const file = createWriteStream(path, { flags: "wx" });
  await once(file, "open").catch((cause) => {
    throw new SluiceError("CONFIG_INVALID", `cannot create the recording ${path}`, { cause });
  });
  file.write(recordingHeader(clock.now()));
  const beganMs = clock.monotonicMs();
  let count = 0;
  const client = await connectAsync(url, { reconnectPeriod: RECONNECT_MS, protocolVersion: 4 }, false);
  try {
    // mqtt.js acks when the callback comes: not before the line is written.
    client.handleMessage = ({ topic, payload }, done) => {
      const line = recordingLine({
        atMs: clock.monotonicMs() - beganMs,
        topic: `${topic}`,
        payload: Buffer.from(payload),
      });
      file.write(line, (error) => done(error ?? undefined));
      onMessage?.(++count);
    };
    const granted = await client.subscribeAsync([...topics], { qos: 1 });
    const refused = granted.filter(({ qos }) => (qos as number) === 128).map(({ topic }) => topic);
    if (refused.length > 0)
      throw new SluiceError("CONFIG_INVALID", `the broker refused ${refused.join(", ")}`);
    onReady?.();
    if (!signal.aborted) await once(signal, "abort");
  } finally {
    await client.endAsync();
    file.end();
    await finished(file);
  }
  return count;
}
