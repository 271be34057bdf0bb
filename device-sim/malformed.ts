/**
 * Payloads no gateway may take for a reading, each with the reason code it must end under.
 *
 * Only kinds whose reason follows from the protocol alone; what depends on configured limits (`too_large`, `too_deep`,
 * `too_many_values`, ...) is left to the gateway's own tests.
 */
import type { ReasonCode } from "../contracts/errors.js";
import { telemetryTopic } from "./message.js";

/** What a malformed message is made from. `mark` is unique per device, so that its bytes are too. */
interface Seedling {
  deviceId: string;
  boot: string;
  ts: number;
  mark: number;
}

/** A malformed message and the end it must come to. */
export interface Malformed {
  topic: string;
  payload: Buffer;
  reason: ReasonCode;
}

type Maker = (from: Seedling) => string | Buffer;

/** Far beyond any `maxClockSkew`. */
const TEN_YEARS_MS = 315_576_000_000;

const MAKERS: readonly [ReasonCode, Maker][] = [
  ["empty", () => ""],
  [
    "not_utf8",
    (s) =>
      Buffer.concat([Buffer.from(`{"boot":"${s.mark}`), Buffer.from([0xff, 0xc3, 0x28]), Buffer.from('"}')]),
  ],
  ["not_json", (s) => reading(s).slice(0, -2)],
  ["bad_shape", (s) => JSON.stringify(`reading ${s.boot} ${s.mark}`)],
  ["bad_ts", (s) => reading(s, { ts: "yesterday" })],
  ["ts_too_far_ahead", (s) => reading(s, { ts: s.ts + TEN_YEARS_MS })],
  ["bad_seq", (s) => reading(s, { seq: -s.mark - 1 })],
  ["bad_boot", (s) => reading(s, { boot: { mark: s.mark } })],
  ["bad_metric_name", (s) => reading(s, { values: { "room temperature": 1 } })],
  ["bad_value", (s) => reading(s).replace('"temperature":20', '"temperature":1e999')],
  ["no_values", (s) => reading(s, { values: {} })],
  ["bad_device_id", (s) => reading(s)],
];

/** How many kinds there are. */
export const MALFORMED_KINDS = MAKERS.length;

/** Makes the malformed message of a kind (0 up to {@link MALFORMED_KINDS}). */
export function malformed(kind: number, from: Seedling): Malformed {
  const [reason, make] = MAKERS[kind]!;
  const deviceId = reason === "bad_device_id" ? `${from.deviceId} ?` : from.deviceId;
  return { topic: telemetryTopic(deviceId), payload: Buffer.from(make(from)), reason };
}

function reading(s: Seedling, broken: Record<string, unknown> = {}): string {
  return JSON.stringify({ ts: s.ts, seq: s.mark, boot: s.boot, values: { temperature: 20 }, ...broken });
}
