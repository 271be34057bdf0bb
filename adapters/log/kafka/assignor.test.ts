import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { assignPartitions, type Member } from "./assignor.js";

const member = (memberId: string, owned: number[] = [], generation = owned.length > 0 ? 1 : -1): Member => ({
  memberId,
  owned,
  generation,
});
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

function toObject(shares: Map<string, number[]>): Record<string, number[]> {
  return Object.fromEntries(shares);
}

describe("assignPartitions", () => {
  it("shares what nobody holds evenly", () => {
    const shares = assignPartitions(upTo(5), [member("b"), member("a")]);
    assert.deepEqual(toObject(shares), { a: [0, 1, 2], b: [3, 4] });
  });

  it("gives a partition that must move to nobody until its holder has let go", () => {
    const first = assignPartitions(upTo(4), [member("a", [0, 1, 2, 3]), member("b")]);
    assert.deepEqual(toObject(first), { a: [0, 1], b: [] });
    const second = assignPartitions(upTo(4), [member("a", [0, 1], 2), member("b")]);
    assert.deepEqual(toObject(second), { a: [0, 1], b: [2, 3] });
  });

  it("moves nothing when a member leaves but what it held", () => {
    const shares = assignPartitions(upTo(6), [member("a", [0, 3]), member("c", [2, 5])]);
    assert.deepEqual(toObject(shares), { a: [0, 1, 3], c: [2, 4, 5] });
  });

  it("believes the younger of two claims", () => {
    const shares = assignPartitions([0], [member("a", [0], 3), member("b", [0], 7)]);
    assert.deepEqual(toObject(shares), { a: [], b: [0] });
  });

  it("ignores claims to partitions that are not there", () => {
    assert.deepEqual(toObject(assignPartitions([0], [member("a", [0, 9])])), { a: [0] });
  });

  it("never gives two owners, settles in two rounds, evenly, and keeps what can stay", () => {
    const group = fc.record({
      partitions: fc.integer({ min: 1, max: 24 }),
      members: fc.integer({ min: 1, max: 6 }),
      owners: fc.array(fc.integer({ min: -1, max: 5 }), { minLength: 24, maxLength: 24 }),
    });
    fc.assert(
      fc.property(group, ({ partitions, members, owners }) => {
        const held = upTo(members).map((m) => upTo(partitions).filter((p) => owners[p] === m));
        const before = held.map((owned, m) => member(`m${m}`, owned));
        const first = assignPartitions(upTo(partitions), before);
        for (const { memberId, owned } of before) {
          for (const other of before) {
            if (other.memberId === memberId) continue;
            const taken = first.get(other.memberId)!.filter((p) => owned.includes(p));
            assert.deepEqual(taken, [], "given away before its holder let go");
          }
        }
        const released = [...first].map(([memberId, owned]) => member(memberId, owned, 2));
        const second = assignPartitions(upTo(partitions), released);
        const all = [...second.values()].flat().sort((a, b) => a - b);
        assert.deepEqual(all, upTo(partitions));
        const sizes = [...second.values()].map((share) => share.length);
        assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, `uneven: ${sizes}`);
        for (const { memberId, owned } of before) {
          const kept = second.get(memberId)!.filter((p) => owned.includes(p)).length;
          assert.ok(
            kept >= Math.min(owned.length, Math.floor(partitions / members)),
            "moved more than needed",
          );
        }
      }),
    );
  });
});
