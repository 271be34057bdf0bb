/**
 * Questions to the API, with failures in words a person can act on.
 */
import type {
  ApiAlertList,
  ApiDeadLetterList,
  ApiDeviceList,
  ApiInfo,
  ApiReadiness,
  ApiRollupList,
} from "../../api/schemas.js";

/** A failure whose message is for the person in front of the page. */
export class RequestError extends Error {}

async function get<T>(path: string, signal?: AbortSignal, accept: readonly number[] = [200]): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, { signal: signal ?? null, headers: { accept: "application/json" } });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new RequestError("The gateway cannot be reached.", { cause: error });
  }
  if (accept.includes(response.status)) return (await response.json()) as T;
  throw new RequestError(await reasonOf(response));
}

/** Our own errors say what is wrong; a proxy's have only a status. */
async function reasonOf(response: Response): Promise<string> {
  const body = await response.json().catch(() => undefined);
  const message = (body as { error?: { message?: string } } | undefined)?.error?.message;
  if (!message) return `The gateway answered ${response.status} ${response.statusText}.`;
  return `${message[0]!.toUpperCase()}${message.slice(1)}.`;
}

export interface RollupQuestion {
  device: string;
  metric: string;
  resolution: string;
  from: number;
  to: number;
}

export const api = {
  info: () => get<ApiInfo>("/api/v1/info"),
  ready: () => get<ApiReadiness>("/readyz", undefined, [200, 503]),
  devices: () => get<ApiDeviceList>("/api/v1/devices"),
  alerts: (query: Record<string, string>) =>
    get<ApiAlertList>(`/api/v1/alerts?${new URLSearchParams(query)}`),
  deadLetters: () => get<ApiDeadLetterList>("/api/v1/deadletters?limit=50"),
  rollups: ({ device, metric, resolution, from, to }: RollupQuestion, signal?: AbortSignal) => {
    const query = { device, metric, resolution, from: String(Math.floor(from)), to: String(Math.ceil(to)) };
    return get<ApiRollupList>(`/api/v1/rollups?${new URLSearchParams({ ...query, limit: "20000" })}`, signal);
  },
};

/** What went wrong, as a sentence. */
export function words(error: unknown): string {
  return error instanceof RequestError ? error.message : `Something went wrong on this page: ${error}`;
}
