/**
 * Rollups, alerts, devices and counters of a running Sluice over its HTTP API, for a simulator in another process.
 */

import type { Alert } from "../contracts/alert.js";
import type { DeviceSummary } from "../contracts/device.js";
import { SluiceError } from "../contracts/errors.js";
import type { AlertQuery, RollupQuery, Store } from "../contracts/ports/store.js";
import type { Rollup } from "../contracts/rollup.js";
import { parseDurationMs } from "../contracts/window.js";
import type { Stats } from "./baseline.js";

/** Windows asked for at once, so that no server-side limit can cut an answer short. */
const WINDOWS_PER_REQUEST = 500;
const REQUEST_TIMEOUT_MS = 30_000;

/** Reads a running Sluice. All methods throw SluiceError STORE_UNAVAILABLE when it does not answer. */
export class HttpStore implements Pick<Store, "rollups" | "alerts" | "devices" | "check"> {
  readonly #base: string;
  readonly #headers: Record<string, string>;

  /**
   * @param baseUrl such as `http://127.0.0.1:8080`
   * @param token sent as a bearer token when given
   */
  constructor(baseUrl: string, token?: string) {
    this.#base = baseUrl.replace(/\/+$/, "");
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  async rollups(query: RollupQuery): Promise<Rollup[]> {
    const { device, metric, resolution, from, to, limit = Number.POSITIVE_INFINITY } = query;
    const sizeMs = parseDurationMs(resolution);
    if (sizeMs === undefined) throw new Error(`${resolution} is not a resolution`);
    const rollups: Rollup[] = [];
    for (let start = from; start < to && rollups.length < limit; start += WINDOWS_PER_REQUEST * sizeMs) {
      const end = Math.min(to, start + WINDOWS_PER_REQUEST * sizeMs);
      const search = new URLSearchParams({ device, metric, resolution, from: `${start}`, to: `${end}` });
      const answer = await this.#get<{ rollups: Omit<Rollup, "device" | "metric" | "resolution">[] }>(
        `/api/v1/rollups?${search}`,
      );
      for (const rollup of answer.rollups) rollups.push({ ...rollup, device, metric, resolution });
    }
    return rollups.slice(0, limit);
  }

  async alerts({ state, device, limit }: AlertQuery): Promise<Alert[]> {
    const search = new URLSearchParams({
      ...(state !== undefined && { state }),
      ...(device !== undefined && { device }),
      ...(limit !== undefined && { limit: `${limit}` }),
    });
    return (await this.#get<{ alerts: Alert[] }>(`/api/v1/alerts?${search}`)).alerts;
  }

  async devices(): Promise<DeviceSummary[]> {
    return (await this.#get<{ devices: DeviceSummary[] }>("/api/v1/devices")).devices;
  }

  /** The counters now. @throws Error when the answer has none */
  async stats(): Promise<Stats> {
    const answer = await this.#get<Record<string, unknown>>("/api/v1/stats");
    const { received, readings, invalid, startedAt } = answer;
    if (typeof received !== "number" || typeof readings !== "number" || typeof invalid !== "number") {
      throw new Error(`${this.#base}/api/v1/stats has no counters received, readings and invalid`);
    }
    return { received, readings, invalid, ...(typeof startedAt === "number" && { startedAt }) };
  }

  async check(): Promise<void> {
    await this.#get("/readyz");
  }

  async #get<T>(path: string): Promise<T> {
    const url = this.#base + path;
    let response: Response;
    try {
      response = await fetch(url, {
        headers: this.#headers,
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      });
      if (response.ok) return (await response.json()) as T;
    } catch (cause) {
      throw new SluiceError("STORE_UNAVAILABLE", `${url} does not answer`, { cause });
    }
    const text = (await response.text()).slice(0, 200);
    if (response.status >= 500)
      throw new SluiceError("STORE_UNAVAILABLE", `${url}: ${response.status} ${text}`);
    throw new Error(`${url}: ${response.status} ${text}`);
  }
}
