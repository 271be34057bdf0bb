import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SluiceError } from "../../../contracts/errors.js";
import { protocolError, toSluiceError } from "./errors.js";

const protocol = (type: string) => Object.assign(new Error(type), { name: "KafkaJSProtocolError", type });
const wrapped = (cause: unknown) => new Error("retries exceeded", { cause: new Error("inner", { cause }) });

describe("errors of kafkajs", () => {
  it("are found through their wrappers", () => {
    assert.equal(protocolError(wrapped(protocol("NOT_LEADER_FOR_PARTITION"))), "NOT_LEADER_FOR_PARTITION");
    const aggregate = Object.assign(new Error("creation"), { errors: [protocol("TOPIC_ALREADY_EXISTS")] });
    assert.equal(protocolError(aggregate), "TOPIC_ALREADY_EXISTS");
    assert.equal(protocolError(new Error("socket")), undefined);
  });

  it("do not loop on a cause that is itself", () => {
    const error: Error & { cause?: unknown } = new Error("self");
    error.cause = error;
    assert.equal(protocolError(error), undefined);
  });

  it("become the codes of the port", () => {
    const codes = {
      UNKNOWN_TOPIC_OR_PARTITION: "LOG_UNKNOWN_TOPIC",
      MESSAGE_TOO_LARGE: "LOG_RECORD_TOO_LARGE",
      OFFSET_OUT_OF_RANGE: "LOG_OFFSET_OUT_OF_RANGE",
      ILLEGAL_GENERATION: "FENCED",
      NOT_ENOUGH_REPLICAS: "LOG_UNAVAILABLE",
      OUT_OF_ORDER_SEQUENCE_NUMBER: "LOG_UNAVAILABLE",
    };
    for (const [type, code] of Object.entries(codes)) {
      assert.equal(toSluiceError(wrapped(protocol(type)), "testing").code, code, type);
    }
    assert.equal(toSluiceError(new Error("connect ECONNREFUSED"), "testing").code, "LOG_UNAVAILABLE");
    const codec = Object.assign(new Error("ZSTD"), { name: "KafkaJSNotImplemented" });
    assert.equal(toSluiceError(codec, "testing").code, "LOG_CORRUPT");
  });

  it("leave ours as they are", () => {
    const ours = new SluiceError("LOG_CLOSED", "closed");
    assert.equal(toSluiceError(ours, "testing"), ours);
  });
});
