/**
 * What is told to whom and when, as a user writes it: receivers, the tree of routes, inhibition, maintenance.
 *
 * Names and meaning follow Alertmanager's configuration. Guarantee: a parsed {@link NotifierConfig} is complete, and
 * every receiver that is named exists. What a channel needs besides its type is checked by the channel's own schema.
 */
import { z } from "zod";
import { parseDurationMs } from "../contracts/window.js";
import { windowSchema } from "./core/maintenance.js";
import { LABELS, matchersSchema } from "./core/matchers.js";

/** Text such as `30s` in the file; milliseconds in the program. */
const durationMs = z.union([z.string(), z.number()]).transform((value, context) => {
  const ms = typeof value === "number" ? value : parseDurationMs(value);
  if (ms !== undefined && Number.isSafeInteger(ms) && ms >= 0) return ms;
  context.addIssue({
    code: "custom",
    message: `${JSON.stringify(value)} is not a duration such as 30s, 5m or 4h`,
  });
  return z.NEVER;
});
const positiveMs = durationMs.refine((ms) => ms > 0, "must be longer than 0");

const name = z.string().regex(/^[A-Za-z0-9._:-]{1,64}$/, "letters, digits and . _ : - only");
const count = z.int().positive();

/** The other keys are the channel's own. */
const channelSchema = z.looseObject({
  type: z.string().min(1),
  /** Tells two channels of one receiver apart; default is the type. */
  name: name.optional(),
  /** Tell when alerts end, too. */
  send_resolved: z.boolean().default(true),
  /** More than this wait for their turn. */
  rate_limit: z.strictObject({ count, per: positiveMs }).default({ count: 30, per: 60_000 }),
});

const receiverSchema = z
  .strictObject({ name, channels: z.array(channelSchema).default([]) })
  .superRefine(({ channels }, context) => {
    const names = channels.map((channel) => channel.name ?? channel.type);
    names.forEach((one, i) => {
      if (names.indexOf(one) < i)
        context.addIssue({ code: "custom", path: ["channels", i, "name"], message: `"${one}" is taken` });
    });
  });

const escalationSchema = z.strictObject({
  /** Since the alert was first told of, while nobody acknowledged it. */
  after: positiveMs,
  receiver: name,
});

/** What a route leaves out it takes from the route above. */
const settings = {
  receiver: name.optional(),
  group_by: z.array(z.enum(LABELS)).optional(),
  group_wait: durationMs.optional(),
  group_interval: positiveMs.optional(),
  repeat_interval: positiveMs.optional(),
  /** Tell of alerts that ended before their group was told of. */
  notify_brief: z.boolean().optional(),
  escalation: z.array(escalationSchema).optional(),
};

export interface RouteConfig {
  matchers: z.output<typeof matchersSchema>;
  continue: boolean;
  routes: RouteConfig[];
  receiver?: string | undefined;
  group_by?: (typeof LABELS)[number][] | undefined;
  group_wait?: number | undefined;
  group_interval?: number | undefined;
  repeat_interval?: number | undefined;
  notify_brief?: boolean | undefined;
  escalation?: z.output<typeof escalationSchema>[] | undefined;
}

const childSchema: z.ZodType<RouteConfig, unknown> = z.strictObject({
  ...settings,
  matchers: matchersSchema.prefault({}),
  /** Go on to the routes after this one when it matched. */
  continue: z.boolean().default(false),
  get routes(): z.ZodDefault<z.ZodArray<typeof childSchema>> {
    return z.array(childSchema).default([]);
  },
});

/** The root matches everything. */
const rootSchema = z.strictObject({
  ...settings,
  receiver: name,
  routes: z.array(childSchema).default([]),
});

export const notifierSchema = z
  .strictObject({
    receivers: z.array(receiverSchema).default([]),
    /** Without a route nobody is told of anything. */
    route: rootSchema.optional(),
    /** An alert that matches `target` is kept back while one that matches `source` fires, with equal labels. */
    inhibit_rules: z
      .array(
        z.strictObject({
          source: matchersSchema,
          target: matchersSchema,
          equal: z.array(z.enum(LABELS)).default([]),
        }),
      )
      .default([]),
    maintenance: z
      .array(
        z.strictObject({
          name,
          matchers: matchersSchema.prefault({}),
          windows: z.array(windowSchema).min(1),
        }),
      )
      .default([]),
    retry: z
      .strictObject({
        /** First wait; it doubles up to `max_delay`. */
        min_delay: positiveMs.default(1_000),
        max_delay: positiveMs.default(300_000),
        max_attempts: count.default(100),
        /** A notification older than this is given up. */
        max_age: positiveMs.default(6 * 3_600_000),
        /** An attempt that takes longer has failed. */
        timeout: positiveMs.default(30_000),
      })
      .prefault({}),
    /** Alerts in memory. Beyond it the oldest are let go, and counted. */
    max_alerts: count.default(50_000),
  })
  .superRefine(({ receivers, route }, context) => {
    const names = receivers.map((receiver) => receiver.name);
    names.forEach((one, i) => {
      if (names.indexOf(one) < i)
        context.addIssue({ code: "custom", path: ["receivers", i, "name"], message: `"${one}" is taken` });
    });
    if (route) checkReceivers(route, ["route"], new Set(names), context);
  });

export type NotifierConfig = z.output<typeof notifierSchema>;
export type ChannelConfig = z.output<typeof channelSchema>;

function checkReceivers(
  route: Pick<RouteConfig, "receiver" | "escalation" | "routes">,
  path: (string | number)[],
  known: ReadonlySet<string>,
  context: z.RefinementCtx,
): void {
  const named: [string | undefined, (string | number)[]][] = [
    [route.receiver, ["receiver"]],
    ...(route.escalation ?? []).map((step, i): [string, (string | number)[]] => [
      step.receiver,
      ["escalation", i, "receiver"],
    ]),
  ];
  for (const [receiver, where] of named) {
    if (receiver === undefined || known.has(receiver)) continue;
    context.addIssue({
      code: "custom",
      path: [...path, ...where],
      message: `there is no receiver "${receiver}"`,
    });
  }
  route.routes.forEach((child, i) => {
    checkReceivers(child, [...path, "routes", i], known, context);
  });
}
