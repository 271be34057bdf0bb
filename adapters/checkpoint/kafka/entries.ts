/**
 * What a changelog holds: names of topics, and the records of a partition.
 *
 * | key          | value                                 |                                                     |
 * |--------------|---------------------------------------|-----------------------------------------------------|
 * | `owner`      | `{"v":1,"owner":"..."}`               | who may write: the last one counts                  |
 * | `checkpoint` | `{"v":1,"offset":n}`                  | next offset of the input; written with every commit |
 * | `s:` + key   | format byte, then the entry's bytes   | absolute: the last one counts                       |
 *
 * No value is ever empty, so an empty one is a removed key.
 */
import { SluiceError } from "../../../contracts/errors.js";
import type { TaskId } from "../../../contracts/ports/checkpoint.js";
import type { LogRecord, Offset } from "../../../contracts/ports/log.js";
import { type ChangelogEntry, entryBytes, MAX_ENTRY_BYTES } from "../../log/kafka/transactional.js";

/** What a record says about the state; undefined values are removed ones. */
export type Entry =
  | { kind: "checkpoint"; offset: Offset | undefined }
  | { kind: "state"; key: string; value: Uint8Array | undefined }
  | { kind: "none" };

const VERSION = 1;
const STATE_FORMAT = 1;
const OWNER_KEY = "owner";
const CHECKPOINT_KEY = "checkpoint";
const STATE_PREFIX = "s:";
const MAX_TOPIC_LENGTH = 249;

/**
 * `sluice.<group>.<topic>.changelog`. What is no letter, digit or hyphen in the group becomes `_` and two hex digits
 * for each byte, so that no two (group, topic) share a changelog.
 * @throws SluiceError CONFIG_INVALID when that is too long for Kafka
 */
export function changelogTopic({ group, topic }: Pick<TaskId, "group" | "topic">): string {
  const hex = (text: string) => Buffer.from(text).toString("hex").replace(/../g, "_$&");
  const name = `sluice.${group.replace(/[^A-Za-z0-9-]+/gu, hex)}.${topic}.changelog`;
  if (name.length > MAX_TOPIC_LENGTH) {
    const text = `the changelog of group ${group} and topic ${topic} would be ${name.length} characters long`;
    throw new SluiceError("CONFIG_INVALID", `${text}, more than Kafka's ${MAX_TOPIC_LENGTH}`);
  }
  return name;
}

export function ownerEntry(owner: string): ChangelogEntry {
  return { key: OWNER_KEY, value: Buffer.from(JSON.stringify({ v: VERSION, owner })) };
}

export function isClaim({ key }: Pick<LogRecord, "key">): boolean {
  return key === OWNER_KEY;
}

/** Compares bytes, so that a claim of a layout we do not know is somebody else's. */
export function isClaimOf(owner: string, { key, value }: Pick<LogRecord, "key" | "value">): boolean {
  return key === OWNER_KEY && Buffer.compare(value, ownerEntry(owner).value!) === 0;
}

export function checkpointEntry(offset: Offset | null): ChangelogEntry {
  const value = offset === null ? null : Buffer.from(JSON.stringify({ v: VERSION, offset }));
  return { key: CHECKPOINT_KEY, value };
}

/** Removes a key that may be none of ours. */
export function removalOf(recordKey: string): ChangelogEntry {
  return { key: recordKey, value: null };
}

/** @throws SluiceError LOG_RECORD_TOO_LARGE, naming the key */
export function stateEntry(key: string, value: Uint8Array | null): ChangelogEntry {
  const entry = { key: STATE_PREFIX + key, value: value === null ? null : framed(value) };
  const sizeBytes = entryBytes(entry);
  if (sizeBytes > MAX_ENTRY_BYTES) {
    const text = `state entry "${key}" has ${sizeBytes} bytes, more than the limit of ${MAX_ENTRY_BYTES}`;
    throw new SluiceError("LOG_RECORD_TOO_LARGE", text);
  }
  return entry;
}

function framed(value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(value.byteLength + 1);
  bytes[0] = STATE_FORMAT;
  bytes.set(value, 1);
  return bytes;
}

/**
 * The entry of a record; its bytes are a copy.
 * @throws SluiceError STATE_CORRUPT
 */
export function decodeEntry(record: Pick<LogRecord, "key" | "value">): Entry {
  const { key, value } = record;
  const removed = value.byteLength === 0;
  if (key === OWNER_KEY) return { kind: "none" };
  if (key === CHECKPOINT_KEY)
    return { kind: "checkpoint", offset: removed ? undefined : decodeOffset(value) };
  if (key === null || !key.startsWith(STATE_PREFIX)) {
    if (removed) return { kind: "none" };
    throw corrupt(`unknown key ${JSON.stringify(key)}`);
  }
  const name = key.slice(STATE_PREFIX.length);
  if (removed) return { kind: "state", key: name, value: undefined };
  if (value[0] !== STATE_FORMAT)
    throw corrupt(`entry "${name}" has format ${value[0]}, this is ${STATE_FORMAT}`);
  return { kind: "state", key: name, value: new Uint8Array(value.subarray(1)) };
}

function decodeOffset(value: Uint8Array): Offset {
  let parsed: { v?: unknown; offset?: unknown };
  try {
    parsed = JSON.parse(Buffer.from(value).toString("utf8"));
  } catch (error) {
    throw corrupt("the checkpoint is not JSON", error);
  }
  if (parsed.v !== VERSION) throw corrupt(`the checkpoint has version ${parsed.v}, this is ${VERSION}`);
  if (!Number.isSafeInteger(parsed.offset)) throw corrupt("the checkpoint has no offset");
  return parsed.offset as Offset;
}

function corrupt(what: string, cause?: unknown): SluiceError {
  return new SluiceError("STATE_CORRUPT", `changelog: ${what}`, { cause });
}
