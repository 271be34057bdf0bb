/**
 * Options of the simulator: one schema, defaults stated here and in docs/simulator.md.
 */
import { z } from "zod";
import { isName } from "../contracts/reading.js";
import { ANOMALY_KINDS } from "./anomalies.js";

const fraction = z.number().min(0).max(1).default(0);

export const faultsSchema = z.strictObject({
  /** Acked messages that are sent again. */
  duplicates: fraction,
  /** Readings overtaken by a few later ones. */
  reordered: fraction,
  /** Malformed messages per reading. */
  malformed: fraction,
  /** Readings held back and uploaded in blocks behind newer ones. */
  late: fraction,
  /** Readings after which the connection is cut without a DISCONNECT. */
  cuts: fraction,
});

export const simOptionsSchema = z.strictObject({
  /** mqtt:// or mqtts://, with user:password@ where the gateway asks for it. */
  url: z
    .string()
    .regex(/^mqtts?:\/\/./, { error: "must begin with mqtt:// or mqtts://" })
    .default("mqtt://127.0.0.1:1883"),
  /** `light`: bare sockets, for fleets of many thousands. `mqttjs`: a full client, as real devices have. */
  client: z.enum(["mqttjs", "light"]).default("mqttjs"),
  devices: z.number().int().min(1).max(100_000).default(10),
  /** Readings per second of each device. 0: as fast as the window allows, with made-up event times. */
  ratePerDevice: z.number().min(0).max(1_000).default(1),
  /** How long to send. With rate 0 this is event time: duration / step readings per device. */
  durationMs: z.number().int().min(1).default(60_000),
  /** With rate 0: event time between two readings of a device. */
  stepMs: z.number().int().min(1).default(1_000),
  seed: z.number().int().min(0).max(0xffff_ffff).default(1),
  qos: z.union([z.literal(0), z.literal(1), z.literal(2)]).default(1),
  /** Messages a device has in flight at most. */
  window: z.number().int().min(1).max(10_000).default(20),
  /** Start of every device id. Default: `sim-` and the boot of the run, so that runs do not mix. */
  prefix: z.string().max(100).refine(isName, { error: "allowed are letters, digits and . _ : -" }).optional(),
  /** Connections are opened, and schedules begun, evenly over this time. */
  rampMs: z.number().int().min(0).default(0),
  /** The run ends when no ack has come for this long after everything was due. */
  drainMs: z.number().int().min(0).default(30_000),
  faults: faultsSchema.prefault({}),
  /** How many devices get an injected anomaly. */
  anomalies: z.number().int().min(0).default(0),
  /** The kinds, taken in turn. */
  anomalyKinds: z
    .array(z.enum(ANOMALY_KINDS))
    .min(1)
    .default([...ANOMALY_KINDS]),
  /** Where to write the ledger; without it the ledger is in memory only. Must not exist. */
  ledgerPath: z.string().optional(),
});

export type SimOptions = z.infer<typeof simOptionsSchema>;
export type SimOptionsInput = z.input<typeof simOptionsSchema>;
