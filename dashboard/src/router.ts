/**
 * Routes live in the hash, so that a link can be shared and needs nothing of the server:
 * `#/`, `#/device/ID`, `#/device/ID?range=6h&res=1m&p95=1`, `#/device/ID?from=MS&to=MS`.
 */
import { DEFAULT_RANGE, RANGES, type Span, type TimeView } from "./model/time-range.js";

export type Route = { page: "fleet" } | { page: "device"; device: string; view: TimeView; p95: boolean };

export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?");
  const match = /^\/device\/([^/]+)$/.exec(path);
  if (!match) return { page: "fleet" };
  const params = new URLSearchParams(query);
  return {
    page: "device",
    device: decode(match[1]!),
    view: { span: spanOf(params), resolution: params.get("res") ?? "auto" },
    p95: params.get("p95") === "1",
  };
}

/** The hash of a route; defaults are left out. */
export function formatRoute(route: Route): string {
  if (route.page === "fleet") return "#/";
  const params = new URLSearchParams();
  const { span, resolution } = route.view;
  if (span.kind === "fixed") {
    params.set("from", String(span.from));
    params.set("to", String(span.to));
  } else if (span.range !== DEFAULT_RANGE) {
    params.set("range", span.range);
  }
  if (resolution !== "auto") params.set("res", resolution);
  if (route.p95) params.set("p95", "1");
  const query = params.toString();
  return `#/device/${encodeURIComponent(route.device)}${query && `?${query}`}`;
}

function spanOf(params: URLSearchParams): Span {
  const from = Number(params.get("from") ?? Number.NaN);
  const to = Number(params.get("to") ?? Number.NaN);
  if (from < to) return { kind: "fixed", from, to };
  const range = params.get("range");
  return { kind: "last", range: RANGES.some(({ name }) => name === range) ? range! : DEFAULT_RANGE };
}

/** A hand-made link may hold a stray `%`. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
