/**
 * `/openapi.json`, made from the list of routes that the server registers and from their zod schemas.
 */
import { z } from "zod";
import type { ResponseDoc, Route } from "./route.js";
import * as schemas from "./schemas.js";

/** Schemas that are worth a name of their own in the document. */
const COMPONENTS: Record<string, z.ZodType> = {
  Error: schemas.errorSchema,
  Health: schemas.healthSchema,
  Readiness: schemas.readinessSchema,
  Info: schemas.infoSchema,
  Stats: schemas.statsSchema,
  Device: schemas.deviceSchema,
  DeviceList: schemas.deviceListSchema,
  RollupRow: schemas.rollupRowSchema,
  Rollup: schemas.rollupSchema,
  RollupList: schemas.rollupListSchema,
  Alert: schemas.alertSchema,
  AlertList: schemas.alertListSchema,
  DeadLetter: schemas.deadLetterSchema,
  DeadLetterList: schemas.deadLetterListSchema,
  RollupsEvent: schemas.streamEventSchemas.rollups,
  AlertEvent: schemas.streamEventSchemas.alert,
  DevicesEvent: schemas.streamEventSchemas.devices,
  ReconnectEvent: schemas.streamEventSchemas.reconnect,
};

type JsonObject = Record<string, unknown>;

const ref = (name: string) => `#/components/schemas/${name}`;

/** The OpenAPI 3.1 document of `routes`. */
export function openApiDocument(routes: readonly Route[]): JsonObject {
  const paths: Record<string, JsonObject> = {};
  for (const route of routes) paths[route.path] = { get: operation(route) };
  return {
    openapi: "3.1.0",
    info: {
      title: "Sluice",
      version: "1",
      description:
        "Telemetry gateway: devices, rollups, alerts, dead letters, counters. Times are epoch milliseconds.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    paths,
    components: { schemas: componentSchemas() },
  };
}

function operation(route: Route): JsonObject {
  const responses: JsonObject = {};
  for (const [status, doc] of Object.entries(route.responses)) responses[status] = response(doc);
  return {
    operationId: route.path.replace(/^\/(api\/v1\/)?/, "").replace(/\W+/g, "_"),
    summary: route.summary,
    ...(route.query && { parameters: parameters(route.query) }),
    responses,
  };
}

function response({ description, contentType, schema, events }: ResponseDoc): JsonObject {
  const media: JsonObject = { schema: schema ? schemaRef(schema) : { type: "string" } };
  if (events) {
    media["x-events"] = Object.fromEntries(
      Object.entries(events).map(([name, data]) => [name, schemaRef(data)]),
    );
  }
  return { description, content: { [contentType]: media } };
}

function parameters(query: z.ZodObject): JsonObject[] {
  const { properties = {}, required = [] } = z.toJSONSchema(query, { io: "input" });
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...schema } = property as JsonObject;
    return { name, in: "query", required: required.includes(name), description, schema };
  });
}

function schemaRef(schema: z.ZodType): JsonObject {
  const name = Object.keys(COMPONENTS).find((candidate) => COMPONENTS[candidate] === schema);
  // Without a name it could not be referred to from other schemas either.
  if (name === undefined) throw new Error("a response schema is missing from COMPONENTS");
  return { $ref: ref(name) };
}

function componentSchemas(): JsonObject {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(COMPONENTS)) registry.add(schema, { id });
  const generated = z.toJSONSchema(registry, { uri: ref, io: "output" });
  return Object.fromEntries(
    Object.entries(generated.schemas).map(([id, { $id: _id, $schema: _dialect, ...schema }]) => [id, schema]),
  );
}
