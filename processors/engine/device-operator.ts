/**
 * Everything that is computed for one device: duplicates, lateness, rollups, alerts, its summary.
 *
 * Pure and synchronous: state and outputs are a function of the records given (INV-4). Guarantee: a duplicate or
 * late reading reaches neither rollups nor detectors.
 */
import { Packr } from "msgpackr";
import type { Alert } from "../../contracts/alert.js";
import type { DeviceSummary } from "../../contracts/device.js";
import { SluiceError } from "../../contracts/errors.js";
import type { Offset } from "../../contracts/ports/log.js";
import type { ReadingRecord } from "../../contracts/reading.js";
import { DeviceAlerts, type DeviceAlertsSnapshot } from "../alerting/device-alerts.js";
import { type Rule, silenceVersion } from "../alerting/rules.js";
import {
  type Admission,
  DeviceWindows,
  type DeviceWindowsSnapshot,
  type DownsampleOptions,
  type RollupChange,
} from "../downsample/device-windows.js";
import { shortId } from "../downsample/open-window.js";

export interface OperatorOptions extends DownsampleOptions {
  rules: readonly Rule[];
}

/** Layout version of the state: an entry of another version is not read but rebuilt from the log. */
const STATE_VERSION = 4;

interface Snapshot {
  v: number;
  /** Window sizes the state was built with: other ones need a rebuild. */
  sizesMs: number[];
  /** Every record of the device below this input offset is in here. */
  next: Offset;
  windows: DeviceWindowsSnapshot;
  alerts: DeviceAlertsSnapshot;
  readings: number;
  lastIngestTs: number;
  latest: [metric: string, ts: number, value: number][];
}

/**
 * Before the snapshot: the deadline of the device's silence as a double, and the version of the rules it holds under. So
 * a restart finds the deadlines of a fleet without unpacking all of its state.
 */
export const HEADER_BYTES = 12;

const packr = new Packr({ moreTypes: true, useRecords: true });

export class DeviceOperator {
  readonly #device: string;
  readonly #options: OperatorOptions;
  readonly #windows: DeviceWindows;
  readonly #alerts: DeviceAlerts;
  #next: Offset = 0;
  #readings = 0;
  #lastIngestTs = 0;
  readonly #latest = new Map<string, { ts: number; value: number }>();

  private constructor(device: string, options: OperatorOptions, snapshot?: Snapshot) {
    this.#device = device;
    this.#options = options;
    this.#windows = new DeviceWindows(device, options, snapshot?.windows);
    this.#alerts = new DeviceAlerts(
      device,
      options.rules,
      snapshot?.alerts,
      snapshot?.lastIngestTs || undefined,
    );
    if (snapshot) {
      this.#next = snapshot.next;
      this.#readings = snapshot.readings;
      this.#lastIngestTs = snapshot.lastIngestTs;
      for (const [metric, ts, value] of snapshot.latest) this.#latest.set(metric, { ts, value });
    }
  }

  static create(device: string, options: OperatorOptions): DeviceOperator {
    return new DeviceOperator(device, options);
  }

  /** @throws SluiceError STATE_CORRUPT when the bytes are no state of this version and these windows */
  static load(device: string, options: OperatorOptions, bytes: Uint8Array): DeviceOperator {
    try {
      const snapshot = packr.unpack(bytes.subarray(HEADER_BYTES)) as Snapshot;
      if (snapshot.v !== STATE_VERSION)
        throw new Error(`state version ${snapshot.v}, this is ${STATE_VERSION}`);
      const sizes = options.resolutions.map((resolution) => resolution.sizeMs).join();
      if (snapshot.sizesMs.join() !== sizes)
        throw new Error(`state has windows of ${snapshot.sizesMs} ms, not ${sizes}`);
      return new DeviceOperator(device, options, snapshot);
    } catch (error) {
      throw new SluiceError("STATE_CORRUPT", `state of device ${device}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  /**
   * The {@link silenceDeadline} of a saved device.
   * @throws SluiceError STATE_CORRUPT
   */
  static savedSilenceDeadline(device: string, options: OperatorOptions, bytes: Uint8Array): number {
    const header = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (header.length > HEADER_BYTES && header.readUInt32LE(8) === silenceVersion(options.rules))
      return header.readDoubleLE(0);
    return DeviceOperator.load(device, options, bytes).silenceDeadline;
  }

  /** True when the record at this input offset was taken already: its state was written ahead of the task's offset. */
  includes(offset: Offset): boolean {
    return offset < this.#next;
  }

  /** The earliest ingest time at which a rule on silence fires if nothing comes; Infinity when none can. */
  get silenceDeadline(): number {
    return this.#alerts.silenceDeadline;
  }

  /** Alerts that fire because nothing came up to this ingest time. */
  silentAt(ingestTimeMs: number): Alert[] {
    return this.#alerts.silentAt(ingestTimeMs);
  }

  /** Takes the record at `offset`. Alerts that changed are appended to `alerts`. */
  step(offset: Offset, record: ReadingRecord, alerts: Alert[]): Admission {
    this.#next = offset + 1;
    for (const alert of this.#alerts.heard(record.ingestTs, record.values)) alerts.push(alert);
    const untimed = record.tsFrom === "gateway";
    const admission = this.#windows.add(record.ts, shortId(record.id), record.values, untimed);
    if (admission !== "counted") return admission;
    this.#readings++;
    this.#lastIngestTs = Math.max(this.#lastIngestTs, record.ingestTs);
    for (const metric in record.values) {
      const latest = this.#latest.get(metric);
      if (!latest || record.ts >= latest.ts)
        this.#latest.set(metric, { ts: record.ts, value: record.values[metric]! });
    }
    for (const alert of this.#alerts.step(record.ts, record.values)) alerts.push(alert);
    return admission;
  }

  /** Every rollup that changed since the last flush. */
  flush(): RollupChange[] {
    return this.#windows.flush();
  }

  summary(): DeviceSummary {
    return {
      device: this.#device,
      lastTs: this.#windows.watermark,
      lastIngestTs: this.#lastIngestTs,
      readings: this.#readings,
      latest: Object.fromEntries([...this.#latest].map(([metric, { value }]) => [metric, value])),
    };
  }

  /** The state as bytes, for `load`. Call after `flush`. */
  save(): Uint8Array {
    const snapshot: Snapshot = {
      v: STATE_VERSION,
      sizesMs: this.#options.resolutions.map((resolution) => resolution.sizeMs),
      next: this.#next,
      windows: this.#windows.snapshot(),
      alerts: this.#alerts.snapshot(),
      readings: this.#readings,
      lastIngestTs: this.#lastIngestTs,
      latest: [...this.#latest].map(([metric, { ts, value }]) => [metric, ts, value]),
    };
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    header.writeDoubleLE(this.silenceDeadline, 0);
    header.writeUInt32LE(silenceVersion(this.#options.rules), 8);
    return Buffer.concat([header, packr.pack(snapshot)]);
  }
}
