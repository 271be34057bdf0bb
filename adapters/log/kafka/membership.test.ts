import assert from "node:assert/strict";
import { describe, it } from "node:test";
import kafkajs from "kafkajs";
import { systemClock } from "../../../runtime/clock.js";
import { createLogger } from "../../../runtime/logger.js";
import type { ClusterHandle } from "./client.js";
import { Membership } from "./membership.js";

const { MemberAssignment, MemberMetadata } = kafkajs.AssignerProtocol;

/** A coordinator that gives what the script says. `joining` runs while a join waits for the other members. */
interface Round {
  gives: number[];
  joining?: () => void;
  /** How heartbeats after this round are answered. */
  after: "stay" | "rebalance";
}

function scriptedCluster(rounds: Round[]) {
  const claims: number[][] = [];
  let heartbeats = 0;
  const round = () => rounds[Math.min(claims.length, rounds.length) - 1]!;
  const broker = {
    async joinGroup({ groupProtocols }: { groupProtocols: { metadata: Buffer }[] }) {
      const { userData } = MemberMetadata.decode(groupProtocols[0]!.metadata)!;
      claims.push(JSON.parse(userData.toString()).owned);
      heartbeats = 0;
      round().joining?.();
      return { generationId: claims.length, leaderId: "another", memberId: "us", members: [] };
    },
    async syncGroup() {
      const assignment = { topic: round().gives };
      return {
        memberAssignment: MemberAssignment.encode({ version: 0, assignment, userData: Buffer.alloc(0) }),
      };
    },
    async heartbeat() {
      heartbeats++;
      if (round().after === "rebalance")
        throw Object.assign(new Error("rebalance"), { type: "REBALANCE_IN_PROGRESS" });
    },
    async leaveGroup() {},
  };
  const cluster = { refreshMetadataIfNecessary: async () => {}, findGroupCoordinator: async () => broker };
  const handle = { use: (_: string, work: (given: unknown) => unknown) => work(cluster) };
  return { handle: handle as unknown as ClusterHandle, claims, heartbeats: () => heartbeats };
}

describe("membership of a consumer group", () => {
  it("joins again when a partition it claimed was let go while the join was under way", async () => {
    const held = new Set([0, 1]);
    let letGo = (_any: boolean) => {};
    const { handle, claims, heartbeats } = scriptedCluster([
      { gives: [0, 1], after: "rebalance" },
      { gives: [0], after: "rebalance" },
      {
        gives: [0],
        joining: () => {
          held.delete(1);
          letGo(true);
        },
        after: "stay",
      },
      { gives: [0], after: "stay" },
    ]);
    const membership = new Membership({
      ...{
        cluster: handle,
        clock: systemClock,
        logger: createLogger("silent"),
        group: "group",
        topic: "topic",
      },
      times: { sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 30_000, heartbeatIntervalMs: 1 },
      onJoin: () => {},
      hooks: {
        owned: () => [...held],
        assign: (partitions) =>
          [...held].every((partition) => partitions.includes(partition))
            ? Promise.resolve(false)
            : new Promise((resolve) => {
                letGo = resolve;
              }),
        lost: async () => {},
      },
    });
    const running = membership.run();
    while (heartbeats() < 20) await systemClock.sleep(1);
    await membership.stop();
    await running;
    assert.deepEqual(claims, [[0, 1], [0, 1], [0, 1], [0]], "claims of each join");
  });
});
