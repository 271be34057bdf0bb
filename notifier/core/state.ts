/**
 * Everything the notifier remembers, as tables of rows that remember which of them changed since the last commit.
 */
import type { Alert } from "../../contracts/alert.js";
import type { Notification } from "../../contracts/ports/channel.js";
import type { Matchers } from "./matchers.js";

/** Why a firing alert is not told of. */
export type Suppression = "silenced" | "maintenance" | "inhibited" | "acknowledged";

export interface AlertRow {
  alert: Alert;
  /** When its latest transition arrived. */
  seenAt: number;
}

/** The latest episode of a series, after its alert is forgotten: what is not later is a repeat of the log. */
export interface SeriesRow {
  startedAt: number;
  updatedAt: number;
  state: Alert["state"];
  seenAt: number;
}

export interface Ack {
  /** The alert's id. */
  id: string;
  author: string;
  comment: string;
  at: number;
}

/** Matching alerts wake nobody in [start, end). */
export interface Silence {
  id: string;
  matchers: Matchers;
  start: number;
  end: number;
  author: string;
  comment: string;
}

/** Alerts that are told of together, to one receiver. */
export interface Group {
  key: string;
  route: string;
  /** 0: the route's own receiver; n: its n-th escalation. */
  step: number;
  labels: Record<string, string>;
  createdAt: number;
  /** When it is looked at next. */
  dueAt: number;
  /** When the next of its alerts escalates, if nobody acknowledges it. */
  escalateAt: number | null;
  /** Notifications made so far: with `createdAt`, the epoch in their ids. */
  epoch: number;
  channels: Record<string, GroupChannel>;
}

/** What a group knows of one channel. */
export interface GroupChannel {
  /** The notification on its way. Until it has arrived or died, no other is made. */
  pending: string | null;
  /** It was due while one was on its way. */
  deferred: boolean;
  /** When it was told last. */
  lastAt: number;
}

/** An alert in a group. */
export interface Member {
  group: string;
  alert: string;
  /** The state each channel was told, or is about to be told. */
  told: Record<string, Alert["state"]>;
  /** When it was first told of. */
  since: number | null;
  /** Escalations it has gone through. */
  escalated: number;
  /** Why it was kept back when last looked at. */
  why: Suppression | null;
}

/** A notification that is not known to have arrived. */
export interface Pending {
  notification: Notification;
  attempts: number;
  /** Not tried before. */
  dueAt: number;
  /** Given up for this reason; it goes once the dead-letter callback has taken it. */
  dead: string | null;
}

/** Rows by key. Whoever changes a row in place calls `touch`. */
export class Table<Row> {
  readonly #rows = new Map<string, Row>();
  readonly #changed = new Set<string>();

  get size(): number {
    return this.#rows.size;
  }

  get(key: string): Row | undefined {
    return this.#rows.get(key);
  }

  set(key: string, row: Row): void {
    this.#rows.set(key, row);
    this.#changed.add(key);
  }

  /** Puts a row that is stored already. */
  load(key: string, row: Row): void {
    this.#rows.set(key, row);
  }

  touch(key: string): void {
    this.#changed.add(key);
  }

  delete(key: string): void {
    if (this.#rows.delete(key)) this.#changed.add(key);
  }

  /** Oldest key first. */
  keys(): IterableIterator<string> {
    return this.#rows.keys();
  }

  values(): IterableIterator<Row> {
    return this.#rows.values();
  }

  get changed(): ReadonlySet<string> {
    return this.#changed;
  }

  /** The changes are stored. */
  settle(): void {
    this.#changed.clear();
  }
}

export class NotifierState {
  readonly alerts = new Table<AlertRow>();
  readonly series = new Table<SeriesRow>();
  readonly acks = new Table<Ack>();
  readonly silences = new Table<Silence>();
  readonly groups = new Table<Group>();
  readonly members = new Table<Member>();
  readonly pending = new Table<Pending>();
  /** Members by group and by alert; derived. */
  readonly #byGroup = new Map<string, Map<string, Member>>();
  readonly #byAlert = new Map<string, Map<string, Member>>();

  tables(): [name: string, table: Table<unknown>][] {
    return Object.entries({
      alert: this.alerts,
      series: this.series,
      ack: this.acks,
      silence: this.silences,
      group: this.groups,
      member: this.members,
      pending: this.pending,
    }) as [string, Table<unknown>][];
  }

  /** Something is not stored yet. */
  get isChanged(): boolean {
    return this.tables().some(([, table]) => table.changed.size > 0);
  }

  membersOf(group: string): Iterable<Member> {
    return this.#byGroup.get(group)?.values() ?? [];
  }

  membershipsOf(alert: string): Iterable<Member> {
    return this.#byAlert.get(alert)?.values() ?? [];
  }

  member(group: string, alert: string): Member | undefined {
    return this.#byGroup.get(group)?.get(alert);
  }

  addMember(group: string, alert: string): Member {
    const member: Member = { group, alert, told: {}, since: null, escalated: 0, why: null };
    this.members.set(memberKey(member), member);
    this.indexMember(member);
    return member;
  }

  /** For a member that was loaded. */
  indexMember(member: Member): void {
    index(this.#byGroup, member.group, member.alert, member);
    index(this.#byAlert, member.alert, member.group, member);
  }

  touchMember(member: Member): void {
    this.members.touch(memberKey(member));
  }

  removeMember(member: Member): void {
    this.members.delete(memberKey(member));
    unindex(this.#byGroup, member.group, member.alert);
    unindex(this.#byAlert, member.alert, member.group);
  }

  removeGroup(key: string): void {
    for (const member of [...this.membersOf(key)]) this.removeMember(member);
    this.groups.delete(key);
  }
}

function memberKey({ group, alert }: Member): string {
  return `${group}/${alert}`;
}

function index(into: Map<string, Map<string, Member>>, outer: string, inner: string, member: Member): void {
  const found = into.get(outer) ?? new Map<string, Member>();
  into.set(outer, found.set(inner, member));
}

function unindex(from: Map<string, Map<string, Member>>, outer: string, inner: string): void {
  const found = from.get(outer);
  found?.delete(inner);
  if (found?.size === 0) from.delete(outer);
}
