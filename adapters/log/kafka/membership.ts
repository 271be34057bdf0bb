/**
 * Membership of one consumer group for one topic: joins, stays by heartbeats, rejoins when the group changes, leaves.
 *
 * Why not kafkajs's consumer: it offers no way to let go of a partition before it joins again, so that two members
 * work on one partition; it answers an offset that retention overtook by silently moving it; and its commit does
 * nothing, without an error, while it restarts. The group protocol itself is four requests, and kafkajs has them.
 *
 * Heartbeats run beside whatever the partitions' handlers do: a long batch loses no session.
 */
import kafkajs, { type Cluster } from "kafkajs";
import { hasCode, SluiceError } from "../../../contracts/errors.js";
import type { Clock } from "../../../contracts/ports/clock.js";
import type { Logger } from "../../../runtime/logger.js";
import { assignPartitions, type Claims } from "./assignor.js";
import type { ClusterHandle, GroupBroker } from "./client.js";
import { isTransient, protocolError } from "./errors.js";
import type { Committer } from "./offsets.js";

export interface GroupTimes {
  /** Without a heartbeat for so long a member is out of the group. */
  sessionTimeoutMs: number;
  /** How long the group waits for its members to join again. */
  rebalanceTimeoutMs: number;
  heartbeatIntervalMs: number;
}

export interface MembershipHooks {
  /** Partitions held, those being let go included. */
  owned(): number[];
  /** Takes an assignment. Resolves when what is not in it was let go; true when there was such. Never rejects. */
  assign(partitions: number[]): Promise<boolean>;
  /** The group dropped us: everything may have another owner already. Resolves when all is let go. Never rejects. */
  lost(): Promise<void>;
}

const PROTOCOL = "sluice-cooperative-sticky";
const { MemberMetadata, MemberAssignment } = kafkajs.AssignerProtocol;
const MIN_DELAY_MS = 100;
const MAX_DELAY_MS = 2_000;
/** How long `stop` waits for a join that is under way: a member that vanishes holds up the others for a session. */
const STOP_JOIN_LIMIT_MS = 5_000;
/** Errors after which the group does not know us in this role any more. */
const DROPPED = new Set(["UNKNOWN_MEMBER_ID", "ILLEGAL_GENERATION", "FENCED_INSTANCE_ID"]);
/** Trying again would give the same answer. */
const FATAL = new Set([
  "INCONSISTENT_GROUP_PROTOCOL",
  "INVALID_GROUP_ID",
  "INVALID_SESSION_TIMEOUT",
  "GROUP_AUTHORIZATION_FAILED",
  "TOPIC_AUTHORIZATION_FAILED",
  "GROUP_MAX_SIZE_REACHED",
]);

export class Membership {
  readonly #cluster: ClusterHandle;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #times: GroupTimes;
  readonly #hooks: MembershipHooks;
  readonly #group: string;
  readonly #topic: string;
  readonly #stop = new AbortController();
  readonly #onJoin: () => void;
  #memberId = "";
  #generationId = -1;
  #leads = false;
  #lastContactMs: number;
  #knownPartitions = 0;
  #running: Promise<void> | undefined;

  constructor(options: {
    cluster: ClusterHandle;
    clock: Clock;
    logger: Logger;
    times: GroupTimes;
    hooks: MembershipHooks;
    group: string;
    topic: string;
    onJoin: () => void;
  }) {
    this.#cluster = options.cluster;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#times = options.times;
    this.#hooks = options.hooks;
    this.#group = options.group;
    this.#topic = options.topic;
    this.#onJoin = options.onJoin;
    this.#lastContactMs = options.clock.monotonicMs();
  }

  /** Under which identity this member may commit now; undefined when the group does not know it. */
  committer(): Committer | undefined {
    if (this.#memberId === "" || this.#generationId < 0) return undefined;
    return { memberId: this.#memberId, generationId: this.#generationId };
  }

  /** Joins and stays until {@link stop}. @throws SluiceError for what no retry will cure */
  run(): Promise<void> {
    this.#running ??= this.#run();
    return this.#running;
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#stop.signal.aborted; ) {
      try {
        const claimed = this.#hooks.owned();
        const partitions = await this.#join(claimed);
        failures = 0;
        if (this.#stop.signal.aborted) return;
        // What was claimed and is not ours is nobody's until the group hears that it was let go: be it now, or while
        // the join was under way.
        const claimedTooMuch = claimed.some((partition) => !partitions.includes(partition));
        const released = this.#hooks.assign(partitions);
        await this.#stay(released.then((any) => any || claimedTooMuch));
      } catch (error) {
        await this.#recover(error, ++failures);
      }
    }
  }

  /** Leaves the group, after everything was let go. */
  async stop(): Promise<void> {
    this.#stop.abort();
    const over = new AbortController();
    const ended = (this.#running ?? Promise.resolve()).catch(() => undefined); // told by run()
    await Promise.race([ended, this.#pause(STOP_JOIN_LIMIT_MS, over.signal)]);
    over.abort();
    if (this.#memberId === "") return;
    try {
      await this.#coordinator((broker) =>
        broker.leaveGroup({ groupId: this.#group, memberId: this.#memberId }),
      );
    } catch (error) {
      // The group notices by itself when the session runs out.
      this.#logger.warn({ err: error }, "could not leave the consumer group");
    }
    this.#memberId = "";
    this.#generationId = -1;
  }

  async #join(owned: number[]): Promise<number[]> {
    const claims: Claims = { owned, generation: this.#generationId };
    const metadata = MemberMetadata.encode({
      version: 0,
      topics: [this.#topic],
      userData: Buffer.from(JSON.stringify(claims)),
    });
    const joined = await this.#coordinator((broker) =>
      broker.joinGroup({
        groupId: this.#group,
        sessionTimeout: this.#times.sessionTimeoutMs,
        rebalanceTimeout: this.#times.rebalanceTimeoutMs,
        memberId: this.#memberId,
        groupProtocols: [{ name: PROTOCOL, metadata }],
      }),
    );
    this.#memberId = joined.memberId;
    this.#leads = joined.leaderId === joined.memberId;
    const groupAssignment = this.#leads ? await this.#assignAll(joined.members) : [];
    const { memberAssignment } = await this.#coordinator((broker) =>
      broker.syncGroup({
        groupId: this.#group,
        generationId: joined.generationId,
        memberId: joined.memberId,
        groupAssignment,
      }),
    );
    this.#generationId = joined.generationId;
    this.#touch();
    this.#onJoin();
    const partitions = MemberAssignment.decode(memberAssignment)?.assignment[this.#topic] ?? [];
    this.#logger.info(
      { generation: this.#generationId, partitions, leads: this.#leads },
      "joined the consumer group",
    );
    return partitions;
  }

  /** The leader's part: who gets what. */
  async #assignAll(members: readonly { memberId: string; memberMetadata: Buffer }[]) {
    const partitions = (await this.#cluster.partitions(this.#topic, { fresh: true })).map(
      (one) => one.partition,
    );
    this.#knownPartitions = partitions.length;
    const shares = assignPartitions(
      partitions,
      members.map(({ memberId, memberMetadata }) => ({ memberId, ...decodeClaims(memberMetadata) })),
    );
    return [...shares].map(([memberId, share]) => ({
      memberId,
      memberAssignment: MemberAssignment.encode({
        version: 0,
        assignment: { [this.#topic]: share },
        userData: Buffer.alloc(0),
      }),
    }));
  }

  /** Heartbeats, until it is time to join again. */
  async #stay(released: Promise<boolean>): Promise<void> {
    const wake = new AbortController();
    const sleeping = AbortSignal.any([wake.signal, this.#stop.signal]);
    let rejoin = false;
    void released.then((any) => {
      rejoin = any;
      if (any) wake.abort();
    });
    while (!this.#stop.signal.aborted && !rejoin) {
      await this.#pause(this.#times.heartbeatIntervalMs, sleeping);
      if (this.#stop.signal.aborted || rejoin) return;
      if (!(await this.#heartbeat()) || (await this.#partitionsAdded())) return;
    }
  }

  /** False when the group is changing. */
  async #heartbeat(): Promise<boolean> {
    try {
      await this.#coordinator((broker) =>
        broker.heartbeat({
          groupId: this.#group,
          groupGenerationId: this.#generationId,
          memberId: this.#memberId,
        }),
      );
    } catch (error) {
      if (protocolError(error) === "REBALANCE_IN_PROGRESS") return false;
      if (!hasCode(error, "LOG_UNAVAILABLE")) throw error;
      // A coordinator that moves or restarts keeps its members: go on trying for as long as the session lasts.
      if (this.#sessionLapsed()) throw error;
      this.#logger.warn({ err: error }, "heartbeat failed, trying again");
      await this.#cluster.reset();
      return true;
    }
    this.#touch();
    return true;
  }

  /** The leader notices partitions that were added to the topic. */
  async #partitionsAdded(): Promise<boolean> {
    if (!this.#leads || this.#knownPartitions === 0) return false;
    try {
      return (await this.#cluster.partitions(this.#topic)).length > this.#knownPartitions;
    } catch (error) {
      if (!hasCode(error, "LOG_UNAVAILABLE")) throw error;
      return false; // the next heartbeat tells
    }
  }

  async #recover(error: unknown, failures: number): Promise<void> {
    const type = protocolError(error);
    if (!(error instanceof SluiceError) || isFatal(error, type, failures)) throw error;
    if (type === "REBALANCE_IN_PROGRESS") return;
    this.#logger.warn({ err: error }, "consumer group: trying to join again");
    if ((type !== undefined && DROPPED.has(type)) || this.#sessionLapsed()) await this.#drop();
    if (error.code !== "FENCED") await this.#cluster.reset();
    await this.#pause(
      Math.min(MAX_DELAY_MS, MIN_DELAY_MS * 2 ** Math.min(failures - 1, 10)),
      this.#stop.signal,
    );
  }

  async #drop(): Promise<void> {
    this.#memberId = "";
    this.#generationId = -1;
    this.#touch();
    await this.#hooks.lost();
  }

  #touch(): void {
    this.#lastContactMs = this.#clock.monotonicMs();
  }

  #sessionLapsed(): boolean {
    return this.#clock.monotonicMs() - this.#lastContactMs > this.#times.sessionTimeoutMs;
  }

  #coordinator<T>(work: (broker: GroupBroker) => Promise<T>): Promise<T> {
    return this.#cluster.use(`consumer group ${this.#group}`, async (cluster: Cluster) => {
      await cluster.refreshMetadataIfNecessary();
      return work((await cluster.findGroupCoordinator({ groupId: this.#group })) as GroupBroker);
    });
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#clock.sleep(ms, signal);
    } catch (error) {
      if (!hasCode(error, "ABORTED")) throw error;
    }
  }
}

function isFatal(error: SluiceError, type: string | undefined, failures: number): boolean {
  if (type !== undefined && FATAL.has(type)) return true;
  return error.code !== "FENCED" && !isTransient(error, failures);
}

/** A member of this protocol always sends claims; anything else in their place is a broken invariant. */
function decodeClaims(metadata: Buffer): Claims {
  const { userData } = MemberMetadata.decode(metadata)!;
  return JSON.parse(userData.toString("utf8")) as Claims;
}
