/**
 * Judges Kafka topics: would they lose readings, refuse them, or stop with one broker away?
 */
import type { KafkaCluster, KafkaTopic } from "../../adapters/log/kafka/inspect.js";
import type { TopicSpec } from "../../contracts/topics.js";
import { type Finding, ok, problem, warning } from "./finding.js";

const SAFE_COPIES = 3;

/** @param maxPayloadBytes the largest payload that is to fit into a record */
export function judgeTopics(
  cluster: KafkaCluster,
  specs: readonly TopicSpec[],
  maxPayloadBytes: number,
): Finding[] {
  const missing = specs.filter(({ name }) => !cluster.topics.some((topic) => topic.name === name));
  const findings = cluster.topics.flatMap((topic) => {
    const spec = specs.find(({ name }) => name === topic.name)!;
    return judgeTopic(topic, spec, cluster.brokers, maxPayloadBytes);
  });
  const there = `${cluster.topics.length} of ${specs.length} there`;
  const summary =
    missing.length === 0
      ? there
      : `${there}; made at the start: ${missing.map(({ name }) => name).join(", ")}`;
  return [ok("topics", summary), ...findings];
}

function judgeTopic(
  { name, partitions, replicas, inSync, settings }: KafkaTopic,
  spec: TopicSpec,
  brokers: number,
  maxPayloadBytes: number,
): Finding[] {
  const check = `topic ${name}`;
  const findings: Finding[] = [];
  const insync = Number(settings["min.insync.replicas"]);
  if (settings["cleanup.policy"] !== "delete") {
    const advice = "set cleanup.policy=delete: compaction keeps one record per device";
    findings.push(problem(check, `cleanup.policy is ${settings["cleanup.policy"]}`, advice));
  }
  const largest = Number(settings["max.message.bytes"]);
  // A dead letter holds the payload in base64, a third longer, and its reason.
  const needed = Math.ceil(maxPayloadBytes * 1.4);
  if (largest < needed) {
    const advice = `set max.message.bytes to ${needed} or more, or lower ingest.maxPayload`;
    findings.push(
      problem(check, `takes ${largest} bytes, and a payload may have ${maxPayloadBytes}`, advice),
    );
  }
  if (inSync < insync) {
    const advice = "bring the brokers that are away back: nothing can be appended, so no device gets an ack";
    findings.push(problem(check, `${inSync} copies keep up, ${insync} are needed`, advice));
  } else if (inSync < replicas) {
    findings.push(
      warning(
        check,
        `${inSync} of ${replicas} copies keep up`,
        "look after the brokers that lag or are away",
      ),
    );
  }
  if (replicas > 1 && insync >= replicas) {
    const advice = `set min.insync.replicas to ${replicas - 1}: now one broker away stops all acks`;
    findings.push(warning(check, `all ${replicas} copies are needed for an ack`, advice));
  }
  if (replicas >= SAFE_COPIES && insync < 2) {
    const advice = "set min.insync.replicas=2: now an acked reading may be on one broker only";
    findings.push(warning(check, "one copy is enough for an ack", advice));
  }
  if (replicas < Math.min(SAFE_COPIES, brokers)) {
    const advice = "reassign it to three brokers (kafka-reassign-partitions.sh)";
    findings.push(warning(check, `${replicas} of ${brokers} brokers hold a copy`, advice));
  }
  if (partitions !== spec.partitions) {
    const advice =
      "set topics.partitions to it; a change of the topic's count would move devices to other partitions";
    findings.push(
      warning(check, `${partitions} partitions, and topics.partitions is ${spec.partitions}`, advice),
    );
  }
  const retentionMs = String(spec.retentionMs ?? -1);
  if (settings["retention.ms"] !== retentionMs) {
    const found = `retention.ms is ${settings["retention.ms"]}; Sluice sets it to ${retentionMs} at its start`;
    findings.push(warning(check, found, "set topics.retention to what you want"));
  }
  return findings;
}
