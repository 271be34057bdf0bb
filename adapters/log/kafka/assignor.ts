/**
 * Shares the partitions of a topic among the members of a group, as Kafka's cooperative sticky assignor does: evenly,
 * moving as few as possible, and in two rounds. A partition that is to move is given to nobody in the round in which
 * its holder learns that it must let go; the holder joins again when it has, and the next round gives it away. So no
 * partition has two owners, and those that stay are not interrupted.
 *
 * Pure: the same members and claims give the same assignment on whichever member leads.
 */

/** What a member tells when it joins. */
export interface Claims {
  /** Partitions it holds, those it is still letting go of included. */
  owned: number[];
  /** The generation it holds them from; -1 for none. */
  generation: number;
}

export interface Member extends Claims {
  memberId: string;
}

/** The partitions of each member for this round. */
export function assignPartitions(
  partitions: readonly number[],
  members: readonly Member[],
): Map<string, number[]> {
  const owners = ownersOf(partitions, members);
  const targets = balance(partitions, members, owners);
  const round = new Map<string, number[]>();
  for (const [memberId, wanted] of targets) {
    const free = wanted.filter((partition) => (owners.get(partition) ?? memberId) === memberId);
    round.set(
      memberId,
      free.sort((a, b) => a - b),
    );
  }
  return round;
}

/** Who holds what. Of two claims to one partition the younger counts: the older one is from before a lost session. */
function ownersOf(partitions: readonly number[], members: readonly Member[]): Map<number, string> {
  const exists = new Set(partitions);
  const owners = new Map<number, string>();
  const since = new Map<number, number>();
  for (const member of [...members].sort(byId)) {
    for (const partition of member.owned) {
      if (!exists.has(partition) || (since.get(partition) ?? -1) >= member.generation) continue;
      owners.set(partition, member.memberId);
      since.set(partition, member.generation);
    }
  }
  return owners;
}

/** Who is to have what in the end: each member keeps what it holds up to its share, the rest fills up the others. */
function balance(
  partitions: readonly number[],
  members: readonly Member[],
  owners: ReadonlyMap<number, string>,
): Map<string, number[]> {
  const held = new Map(members.map((member) => [member.memberId, [] as number[]]));
  const pool: number[] = [];
  for (const partition of [...partitions].sort((a, b) => a - b)) {
    const owner = owners.get(partition);
    (owner === undefined ? pool : held.get(owner)!).push(partition);
  }
  const share = Math.floor(partitions.length / members.length);
  let larger = partitions.length % members.length;
  // The larger shares go to those who hold most already: that moves least.
  const order = [...members].sort(
    (a, b) => held.get(b.memberId)!.length - held.get(a.memberId)!.length || byId(a, b),
  );
  const quotas = order.map(({ memberId }) => ({ memberId, quota: share + (larger-- > 0 ? 1 : 0) }));
  for (const { memberId, quota } of quotas) pool.push(...held.get(memberId)!.splice(quota));
  pool.sort((a, b) => a - b);
  for (const { memberId, quota } of quotas) {
    const has = held.get(memberId)!;
    has.push(...pool.splice(0, quota - has.length));
  }
  return held;
}

function byId(a: Member, b: Member): number {
  return a.memberId < b.memberId ? -1 : 1;
}
