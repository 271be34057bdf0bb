/**
 * The three Kafka requests needed to tell that a broker serves, in versions that every Kafka 4.x understands.
 * One connection per request; field names follow the protocol guide.
 */
import { connect } from "node:net";

const limitMs = 10_000;

/** Request keys and the (pre-flexible) versions used. */
const api = {
  metadata: { key: 3, version: 4 },
  findCoordinator: { key: 10, version: 1 },
  createTopics: { key: 19, version: 2 },
};

/**
 * @param {number} port
 * @returns {Promise<{nodeIds: number[], controllerId: number}>} the brokers this one knows to be alive
 */
export async function metadata(port) {
  const answer = await request(port, api.metadata, Buffer.concat([int32(0), bool(false)]));
  answer.int32(); // throttle_time_ms
  const nodeIds = answer.array(() => {
    const id = answer.int32();
    answer.string(); // host
    answer.int32(); // port
    answer.string(); // rack
    return id;
  });
  answer.string(); // cluster_id
  return { nodeIds, controllerId: answer.int32() };
}

/**
 * Asks for a topic without making it: passes only when the controller answers and could place every replica.
 * @param {number} port
 * @param {number} replicationFactor
 */
export async function validateTopicCreation(port, replicationFactor) {
  const topic = Buffer.concat([
    string("sluice-readiness-check"),
    int32(1), // partitions
    int16(replicationFactor),
    int32(0), // assignments
    int32(0), // configs
  ]);
  const body = Buffer.concat([int32(1), topic, int32(limitMs), bool(true)]);
  const answer = await request(port, api.createTopics, body);
  answer.int32(); // throttle_time_ms
  answer.array(() => {
    answer.string(); // name
    refuseError("topic creation", answer.int16(), answer.string());
  });
}

/**
 * Makes the broker create the internal topic behind a coordinator, and fails until that coordinator is available.
 * @param {number} port
 * @param {'group' | 'transaction'} kind
 */
export async function findCoordinator(port, kind) {
  const body = Buffer.concat([string("sluice-readiness-check"), Buffer.from([kind === "group" ? 0 : 1])]);
  const answer = await request(port, api.findCoordinator, body);
  answer.int32(); // throttle_time_ms
  refuseError(`${kind} coordinator`, answer.int16(), answer.string());
}

/** @param {string} what @param {number} code @param {string | null} message */
function refuseError(what, code, message) {
  if (code !== 0) throw new Error(`${what}: Kafka error ${code}${message ? ` (${message})` : ""}`);
}

/**
 * @param {number} port
 * @param {{key: number, version: number}} api
 * @param {Buffer} body
 * @returns {Promise<Reader>} positioned at the start of the response body
 */
function request(port, { key, version }, body) {
  const message = Buffer.concat([int16(key), int16(version), int32(1), string("sluice-deploy"), body]);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port });
    let received = Buffer.alloc(0);
    socket.setTimeout(limitMs, () =>
      socket.destroy(new Error(`no answer from port ${port} within ${limitMs} ms`)),
    );
    socket.once("error", reject);
    socket.once("close", () => reject(new Error(`port ${port} closed the connection`)));
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 4 || received.length < 4 + received.readInt32BE(0)) return;
      resolve(new Reader(received, 8)); // past the size and the correlation id
      socket.destroy();
    });
    socket.write(Buffer.concat([int32(message.length), message]));
  });
}

class Reader {
  #buffer;
  #at;
  /** @param {Buffer} buffer @param {number} at */
  constructor(buffer, at) {
    this.#buffer = buffer;
    this.#at = at;
  }
  int16() {
    this.#at += 2;
    return this.#buffer.readInt16BE(this.#at - 2);
  }
  int32() {
    this.#at += 4;
    return this.#buffer.readInt32BE(this.#at - 4);
  }
  /** @returns {string | null} */
  string() {
    const length = this.int16();
    if (length < 0) return null;
    this.#at += length;
    return this.#buffer.toString("utf8", this.#at - length, this.#at);
  }
  /** @template T @param {() => T} item @returns {T[]} */
  array(item) {
    return Array.from({ length: Math.max(0, this.int32()) }, item);
  }
}

/** @param {number} value */
function int16(value) {
  const buffer = Buffer.alloc(2);
  buffer.writeInt16BE(value);
  return buffer;
}

/** @param {number} value */
function int32(value) {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32BE(value);
  return buffer;
}

/** @param {boolean} value */
const bool = (value) => Buffer.from([value ? 1 : 0]);

/** @param {string} value */
const string = (value) => Buffer.concat([int16(Buffer.byteLength(value)), Buffer.from(value)]);
