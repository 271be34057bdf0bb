/**
 * What a route is: its path, its parameters, its documented answers and its handler, in one value. The server
 * registers and `/openapi.json` documents the same list.
 */
import type { FastifyReply } from "fastify";
import type { z } from "zod";
import { parseQuery } from "./query.js";

/** One documented answer. `schema` is undefined for text that has no JSON shape. */
export interface ResponseDoc {
  description: string;
  contentType: string;
  schema?: z.ZodType;
  /** For an event stream: the data of each event, by name. */
  events?: Record<string, z.ZodType>;
}

export interface Route {
  path: string;
  summary: string;
  query?: z.ZodObject;
  responses: Record<number, ResponseDoc>;
  /** Parses the raw query and answers; what it resolves to is sent as the body. */
  handle(rawQuery: unknown, reply: FastifyReply): Promise<unknown>;
}

/** A route without parameters: whatever is in the query is ignored (probes and scrapers add their own). */
export function plainRoute(
  route: Omit<Route, "handle" | "query"> & { handler: (reply: FastifyReply) => Promise<unknown> },
): Route {
  const { handler, ...doc } = route;
  return { ...doc, handle: (_rawQuery, reply) => handler(reply) };
}

/** A route with parameters; unknown ones are refused when `query` is strict. */
export function queryRoute<Q extends z.ZodObject>(
  route: Omit<Route, "handle" | "query"> & {
    query: Q;
    handler: (query: z.output<Q>, reply: FastifyReply) => Promise<unknown>;
  },
): Route {
  const { handler, ...doc } = route;
  return {
    ...doc,
    handle: async (rawQuery, reply) => handler(parseQuery<z.output<Q>>(doc.query as never, rawQuery), reply),
  };
}

/** A JSON answer. */
export function json(description: string, schema: z.ZodType): ResponseDoc {
  return { description, contentType: "application/json", schema };
}
