import { setTimeout as sleep } from "node:timers/promises";

const pollMs = 50;

/**
 * Polls until `condition` is true.
 * @param {() => Promise<boolean>} condition
 * @param {number} limitMs
 * @returns {Promise<boolean>} false when the limit passed first
 */
export async function waitFor(condition, limitMs) {
  const end = performance.now() + limitMs;
  for (;;) {
    if (await condition()) return true;
    if (performance.now() >= end) return false;
    await sleep(pollMs);
  }
}
