/**
 * Bounds what the broker keeps in memory for subscribers (INV-8): messages for sessions that are away, and retained
 * messages. What exceeds a bound is not kept, and counted; telemetry is in the log whatever happens here.
 *
 * The broker's own store has no bound: one session that never comes back would fill the memory.
 */
import type { ConnectionLimits } from "../limits.js";
import type { GatewayStats } from "../stats.js";

interface Message {
  topic?: string;
  payload?: string | Buffer;
}

interface Session {
  clientId: string;
}

/** The methods of the store that let it grow, and the one that lets it shrink. */
export interface Persistence {
  outgoingEnqueueCombi(sessions: Session[], message: Message): Promise<void>;
  outgoingClearMessageId(client: { id: string }, packet: unknown): Promise<Message | undefined>;
  storeRetained(message: Message): Promise<void>;
  incomingStorePacket(client: unknown, message: Message): Promise<void>;
}

type Limits = Pick<ConnectionLimits, "maxOfflineMessages" | "maxOfflineBytes" | "maxRetainedBytes">;

/** Replaces the methods of `store` by bounded ones. */
export function boundPersistence(store: Persistence, limits: Limits, stats: GatewayStats): void {
  boundOffline(store, limits, stats);
  boundRetained(store, limits, stats);
  const incomingStorePacket = store.incomingStorePacket.bind(store);
  // A QoS 2 message is remembered for its packet id alone.
  store.incomingStorePacket = (client, message) =>
    incomingStorePacket(client, { ...message, payload: Buffer.alloc(0) });
}

function boundOffline(store: Persistence, limits: Limits, stats: GatewayStats): void {
  const enqueue = store.outgoingEnqueueCombi.bind(store);
  const clear = store.outgoingClearMessageId.bind(store);
  const queued = new Map<string, { messages: number; sizeBytes: number }>();
  store.outgoingEnqueueCombi = (sessions, message) => {
    const sizeBytes = sizeOf(message);
    const kept = sessions.filter(({ clientId }) => {
      const queue = queued.get(clientId) ?? { messages: 0, sizeBytes: 0 };
      if (queue.messages >= limits.maxOfflineMessages) return drop();
      if (stats.offlineBytes + sizeBytes > limits.maxOfflineBytes) return drop();
      queue.messages++;
      queue.sizeBytes += sizeBytes;
      stats.offlineBytes += sizeBytes;
      queued.set(clientId, queue);
      return true;
    });
    return enqueue(kept, message);
  };
  store.outgoingClearMessageId = async (client, packet) => {
    const message = await clear(client, packet);
    const queue = queued.get(client.id);
    if (message === undefined || queue === undefined) return message;
    queue.messages--;
    // At QoS 2 a PUBREL has taken the place of the message: what the queue weighed goes with its last entry.
    const sizeBytes = queue.messages === 0 ? queue.sizeBytes : Math.min(queue.sizeBytes, sizeOf(message));
    queue.sizeBytes -= sizeBytes;
    stats.offlineBytes -= sizeBytes;
    if (queue.messages === 0) queued.delete(client.id);
    return message;
  };

  function drop(): false {
    stats.offlineDropped++;
    return false;
  }
}

function boundRetained(store: Persistence, limits: Limits, stats: GatewayStats): void {
  const storeRetained = store.storeRetained.bind(store);
  const sizes = new Map<string, number>();
  store.storeRetained = async (message) => {
    const topic = message.topic ?? "";
    const before = sizes.get(topic) ?? 0;
    const sizeBytes = message.payload?.length ? sizeOf(message) : 0;
    if (sizeBytes > before && stats.retainedBytes - before + sizeBytes > limits.maxRetainedBytes) {
      stats.retainedRefused++;
      return;
    }
    stats.retainedBytes += sizeBytes - before;
    if (sizeBytes === 0) sizes.delete(topic);
    else sizes.set(topic, sizeBytes);
    await storeRetained(message);
  };
}

/** A message costs more than its payload. */
function sizeOf({ topic, payload }: Message): number {
  return (topic?.length ?? 0) + (payload?.length ?? 0) + 256;
}
