/**
 * The route of the event stream.
 */
import { z } from "zod";
import { nameParam } from "../query.js";
import { json, queryRoute, type Route } from "../route.js";
import { errorSchema, streamEventSchemas } from "../schemas.js";
import { STREAM_EVENTS, type StreamEvent, type StreamHub } from "../stream.js";

export const STREAM_PATH = "/api/v1/stream";

export function streamRoutes(hub: StreamHub): Route[] {
  return [
    queryRoute({
      path: STREAM_PATH,
      summary: "What is committed, live, as server-sent events",
      query: z.strictObject({
        device: nameParam("Rollups of this device only; other events are not filtered").optional(),
        events: eventsParam(),
      }),
      responses: {
        200: {
          description: "The stream. A `reconnect` event comes before the gateway ends it.",
          contentType: "text/event-stream",
          events: streamEventSchemas,
        },
        400: json("A parameter is wrong; the message names it", errorSchema),
        503: json("Too many stream clients, or the gateway is shutting down", errorSchema),
      },
      handler: async ({ device, events }, reply) => {
        hub.add(reply.raw, { device, events });
        reply.hijack();
        return reply;
      },
    }),
  ];
}

function eventsParam() {
  return z
    .string()
    .optional()
    .transform((text, ctx): ReadonlySet<StreamEvent> => {
      const names = text === undefined ? [...STREAM_EVENTS] : text.split(",");
      const unknown = names.find((name) => !(STREAM_EVENTS as readonly string[]).includes(name));
      if (unknown === undefined) return new Set(names as StreamEvent[]);
      ctx.issues.push({
        code: "custom",
        message: `must be a comma-separated list of ${STREAM_EVENTS.join(", ")}, not "${unknown}"`,
        input: text,
      });
      return z.NEVER;
    })
    .describe(`Comma-separated list of ${STREAM_EVENTS.join(", ")}; all by default`);
}
