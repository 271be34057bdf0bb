/**
 * The gateway's limits as the configuration sets them.
 */
import type { GatewayLimits } from "../gateway/main.js";
import type { Config } from "../runtime/config/schema.js";

export function gatewayLimits({ ingest }: Config): Partial<GatewayLimits> {
  return {
    maxPayloadBytes: ingest.maxPayload,
    maxDepth: ingest.maxDepth,
    maxValues: ingest.maxValuesPerReading,
    maxBatch: ingest.maxBatchReadings,
    maxStringLength: ingest.maxStringLength,
    maxClockSkewMs: ingest.maxClockSkew,
    minTsMs: ingest.minTs,
    maxInFlightPerClient: ingest.maxInflightPerClient,
    maxInFlightMessages: ingest.maxInflightMessages,
    maxInFlightBytes: ingest.maxInflightBytes,
  };
}
