import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../runtime/clock.js";
import { createLogger } from "../../../runtime/logger.js";
import { logContractSuite } from "../../../testkit/contracts/log-suite.js";
import { openEmbeddedLog } from "./index.js";

logContractSuite("embedded", async () => {
  const dir = await mkdtemp(join(tmpdir(), "sluice-log-"));
  const maxRecordBytes = 64 * 1024;
  const open = () =>
    openEmbeddedLog({ dir, clock: systemClock, logger: createLogger("silent"), maxRecordBytes });
  let log = await open();
  return {
    log,
    async reopen() {
      await log.close();
      log = await open();
      return log;
    },
    async close() {
      await log.close();
      await rm(dir, { recursive: true, force: true });
    },
    supports: {
      contiguousOffsets: true,
      maxRecordBytes,
      deleteBefore: async (topic, partition, offset) => {
        await log.deleteBefore(topic, partition, offset);
      },
    },
  };
});
