/**
 * The contract of the log port (contracts/ports/log.ts) as tests, run over every adapter, plain and decorated.
 *
 * Adapter-neutral: offsets may start anywhere and have gaps, every test has topics and groups of its own, waits are
 * for conditions with a generous limit. The log is opened once for the whole suite. A test is skipped only through
 * the adapter's own {@link LogSupports}.
 */
import { after, before, describe } from "node:test";
import type { Log, Offset } from "../../contracts/ports/log.js";
import { appendTests, topicTests } from "./log-suite-append.js";
import { groupTests, subscribeTests } from "./log-suite-groups.js";
import { lifecycleTests } from "./log-suite-lifecycle.js";
import { readTests, timeTests } from "./log-suite-read.js";
import type { Suite } from "./log-suite-support.js";

/** What an adapter can do beyond the port, or what the harness can make happen to it. */
export interface LogSupports {
  /** The first record of a partition has offset 0 and there are no gaps. */
  contiguousOffsets?: boolean;
  /** A record with a value above this is refused with LOG_RECORD_TOO_LARGE. */
  maxRecordBytes?: number;
  /** Deletes records below `offset` as retention would: at least one, none at or above it. */
  deleteBefore?: (topic: string, partition: number, offset: Offset) => Promise<void>;
}

export interface LogUnderTest {
  log: Log;
  /** Closes the log and opens it again over the same data. The suite goes on with the result. */
  reopen?: () => Promise<Log>;
  /** Releases everything. Called once, last; the log may be closed already. */
  close(): Promise<void>;
  supports: LogSupports;
}

/** Registers the suite with node:test under `name`. */
export function logContractSuite(name: string, open: () => Promise<LogUnderTest>): void {
  describe(`log contract: ${name}`, () => {
    let opened: LogUnderTest;
    const suite: Suite = {
      log: () => opened.log,
      supports: () => opened.supports,
      async reopen() {
        if (opened.reopen === undefined) return false;
        opened.log = await opened.reopen();
        return true;
      },
    };
    before(async () => {
      opened = await open();
    });
    after(async () => {
      await opened?.close();
    });
    topicTests(suite);
    appendTests(suite);
    readTests(suite);
    timeTests(suite);
    groupTests(suite);
    subscribeTests(suite);
    lifecycleTests(suite);
  });
}
