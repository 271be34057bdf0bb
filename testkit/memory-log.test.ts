import { partitionForKey } from "../adapters/log/partitioner.js";
import { logContractSuite } from "./contracts/log-suite.js";
import { MemoryLog, MemoryLogData } from "./memory-log.js";

logContractSuite("memory", async () => {
  const data = new MemoryLogData();
  const open = () => new MemoryLog(data, partitionForKey);
  let log = open();
  return {
    log,
    reopen: async () => {
      await log.close();
      log = open();
      return log;
    },
    close: () => log.close(),
    supports: {
      contiguousOffsets: true,
      deleteBefore: async (topic, partition, offset) => data.deleteBefore(topic, partition, offset),
    },
  };
});
