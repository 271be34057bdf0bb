import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode } from "../../../contracts/errors.js";
import { createLogger } from "../../../runtime/logger.js";
import { acquireLease } from "./lease.js";
import { Storage } from "./storage.js";
import { tempDir } from "./testing/harness.js";

test("a pid that was used again is not the owner; giving back a lease that was taken over changes nothing", async (t) => {
  const storage = new Storage(await tempDir(t), createLogger("silent"));
  t.after(() => storage.close());
  const releaseFirst = await acquireLease(storage, "g", "t");
  const row = storage.leases.get(["g", "t"])!;
  assert.equal(row.pid, process.pid);
  await assert.rejects(acquireLease(storage, "g", "t"), (error) => hasCode(error, "STATE_LOCKED"));
  // As if an earlier process with this pid had left the row behind.
  await storage.leases.put(["g", "t"], { ...row, startedAt: "1" });
  const releaseSecond = await acquireLease(storage, "g", "t");
  await releaseFirst();
  await assert.rejects(acquireLease(storage, "g", "t"), (error) => hasCode(error, "STATE_LOCKED"));
  await releaseSecond();
  await (await acquireLease(storage, "g", "t"))();
});
