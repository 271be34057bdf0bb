/**
 * What a topic is to the gateway: telemetry of a device, a mistake, forbidden, or plain MQTT. Pure.
 */
import { isName } from "../../contracts/reading.js";
import type { Rejection } from "./decode.js";

export type Route =
  /** Telemetry of a device with a legal id. */
  | { kind: "ingest"; deviceId: string }
  /** Meant as telemetry, and a dead letter. */
  | { kind: "rejected"; rejection: Rejection }
  /** Reserved for the gateway: a client's message is acked and goes nowhere. */
  | { kind: "forbidden" }
  /** Ordinary MQTT: for its subscribers alone. */
  | { kind: "passthrough" };

export const DEFAULT_ROUTES: readonly string[] = ["devices/{deviceId}/telemetry"];

const PLACEHOLDER = "{deviceId}";
const FORBIDDEN: Route = { kind: "forbidden" };
const PASSTHROUGH: Route = { kind: "passthrough" };

interface Pattern {
  prefix: string;
  suffix: string;
}

/**
 * @param routes topics with one level `{deviceId}`. Other topics with the same levels before it are dead letters.
 * @throws Error when a route is not of that form
 */
export function createRouter(routes: readonly string[]): (topic: string) => Route {
  const patterns = routes.map(parseRoute);
  return (topic) => {
    if (topic.startsWith("$") || topic.startsWith("alerts/")) return FORBIDDEN;
    let inNamespace = false;
    for (const { prefix, suffix } of patterns) {
      if (!topic.startsWith(prefix)) continue;
      inNamespace ||= prefix !== "";
      if (!topic.endsWith(suffix) || topic.length < prefix.length + suffix.length) continue;
      const level = topic.slice(prefix.length, topic.length - suffix.length);
      if (level.includes("/")) continue;
      return isName(level) ? { kind: "ingest", deviceId: level } : badDeviceId(level);
    }
    return inNamespace ? badTopic(routes) : PASSTHROUGH;
  };
}

function parseRoute(route: string): Pattern {
  const levels = route.split("/");
  const literals = levels.filter((level) => level !== PLACEHOLDER);
  if (literals.length !== levels.length - 1 || literals.some((level) => /[{}#+]|^$/.test(level))) {
    throw new Error(
      `route ${JSON.stringify(route)} must have exactly one level ${PLACEHOLDER} and no wildcard`,
    );
  }
  const at = route.indexOf(PLACEHOLDER);
  return { prefix: route.slice(0, at), suffix: route.slice(at + PLACEHOLDER.length) };
}

function badDeviceId(level: string): Route {
  const shown = JSON.stringify(level.length > 40 ? `${level.slice(0, 40)}...` : level);
  const detail = `the topic names the device ${shown}; legal ids are [A-Za-z0-9._:-]{1,128}`;
  return { kind: "rejected", rejection: { reason: "bad_device_id", detail } };
}

function badTopic(routes: readonly string[]): Route {
  const detail = `no route takes this topic; telemetry goes to ${routes.join(" or ")}`;
  return { kind: "rejected", rejection: { reason: "bad_topic", detail } };
}
