/**
 * The tree of routes, compiled: which route an alert takes, and in which group it ends.
 *
 * A route's id comes from what it says, not from where it stands, so that groups live on when other routes are added.
 */
import { hash } from "node:crypto";
import type { Alert } from "../../contracts/alert.js";
import type { NotifierConfig, RouteConfig } from "../config.js";
import { canonicalMatchers, compileMatchers, LABELS, type Label, type Matcher } from "./matchers.js";

export interface Route {
  id: string;
  receiver: string;
  groupBy: readonly Label[];
  groupWaitMs: number;
  groupIntervalMs: number;
  repeatIntervalMs: number;
  notifyBrief: boolean;
  escalation: readonly { afterMs: number; receiver: string }[];
}

interface Node {
  route: Route;
  matches: Matcher;
  continues: boolean;
  children: Node[];
}

/** What the root takes where it says nothing. */
const DEFAULTS: Omit<Route, "id" | "receiver"> = {
  groupBy: ["rule"],
  groupWaitMs: 30_000,
  groupIntervalMs: 5 * 60_000,
  repeatIntervalMs: 4 * 3_600_000,
  notifyBrief: true,
  escalation: [],
};

export class Routes {
  readonly #root: Node | undefined;
  readonly #byId = new Map<string, Route>();

  constructor(root: NotifierConfig["route"]) {
    if (root === undefined) return;
    const inherited = { ...DEFAULTS, id: "", receiver: root.receiver };
    this.#root = this.#compile({ ...root, matchers: {}, continue: false }, inherited);
  }

  get(id: string): Route | undefined {
    return this.#byId.get(id);
  }

  /** The routes an alert takes: the deepest that match, the first of its siblings unless that one continues. */
  of(alert: Alert): Route[] {
    return this.#root ? [...new Set(descend(this.#root, alert))] : [];
  }

  #compile(config: RouteConfig, above: Route): Node {
    const path = JSON.stringify([above.id, canonicalMatchers(config.matchers), config.receiver ?? null]);
    const route: Route = {
      id: this.#unused(hash("sha256", path, "hex").slice(0, 16)),
      receiver: config.receiver ?? above.receiver,
      // In one order, so that the order in the file is no difference.
      groupBy: LABELS.filter((label) => (config.group_by ?? above.groupBy).includes(label)),
      groupWaitMs: config.group_wait ?? above.groupWaitMs,
      groupIntervalMs: config.group_interval ?? above.groupIntervalMs,
      repeatIntervalMs: config.repeat_interval ?? above.repeatIntervalMs,
      notifyBrief: config.notify_brief ?? above.notifyBrief,
      escalation:
        config.escalation?.map(({ after, receiver }) => ({ afterMs: after, receiver })) ?? above.escalation,
    };
    this.#byId.set(route.id, route);
    const children = config.routes.map((child) => this.#compile(child, route));
    return { route, matches: compileMatchers(config.matchers), continues: config.continue, children };
  }

  /** Routes that say the same, for instance to two groupings: told apart by their order. */
  #unused(id: string): string {
    for (let n = 1; ; n++) {
      const candidate = n === 1 ? id : `${id}-${n}`;
      if (!this.#byId.has(candidate)) return candidate;
    }
  }
}

function descend(node: Node, alert: Alert): Route[] {
  const found: Route[] = [];
  for (const child of node.children) {
    if (!child.matches(alert)) continue;
    found.push(...descend(child, alert));
    if (!child.continues) break;
  }
  return found.length > 0 ? found : [node.route];
}

/** What the alerts of one group share. */
export function groupLabels(route: Route, alert: Alert): Record<string, string> {
  return Object.fromEntries(route.groupBy.map((label) => [label, alert[label]]));
}

/** Identity of a group. `step` 0 is the route's own receiver, n its n-th escalation. */
export function groupKey(routeId: string, step: number, labels: Record<string, string>): string {
  return hash("sha256", JSON.stringify([routeId, step, Object.entries(labels)]), "hex").slice(0, 32);
}
