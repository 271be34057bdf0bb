/**
 * Which device may be silent next: a binary heap, earliest first, equal times by name.
 *
 * The entry of a device is a lower bound. A reading mostly moves its deadline further away, and then nothing is done
 * here; whoever takes an entry that is due asks the device for its true deadline and puts it back with that.
 */
interface Entry {
  at: number;
  device: string;
}

export class Deadlines {
  readonly #heap: Entry[] = [];
  /** The entry that holds of each device: an earlier one takes the place of a later one, which stays in the heap. */
  readonly #current = new Map<string, Entry>();

  /** The earliest time at which there may be something to do. */
  get earliest(): number {
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  /** Nothing is changed by a time that is no earlier than the one known; one that never comes is not kept. */
  add(device: string, at: number): void {
    const current = this.#current.get(device);
    if (at === Number.POSITIVE_INFINITY || (current && current.at <= at)) return;
    const heap = this.#heap;
    const entry = { at, device };
    this.#current.set(device, entry);
    let i = heap.push(entry) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(entry, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = entry;
  }

  /** Takes out the earliest entry at or before `time`. */
  takeDue(time: number): Entry | undefined {
    for (;;) {
      const first = this.#heap[0];
      if (!first || first.at > time) return undefined;
      const last = this.#heap.pop()!;
      if (this.#heap.length > 0) this.#sink(last);
      if (this.#current.get(first.device) !== first) continue;
      this.#current.delete(first.device);
      return first;
    }
  }

  /** Puts the entry in at the top, which is free, and lets it sink to its place. */
  #sink(entry: Entry): void {
    const heap = this.#heap;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, entry)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = entry;
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.device < b.device);
}
