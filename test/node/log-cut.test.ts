// Where the log is cut: by entries, by bytes, and not under the feet of a member that answers.

import { expect, test } from "vitest";
import type { LogIndex } from "../../src/base/index.ts";
import type { RaftCore, RaftStatus } from "../../src/raft/index.ts";
import { keepFrom } from "../../src/node/log-cut.ts";

const mib = 1024 * 1024;
const last = 10_000;

/** A log of entries of one size up to `last`, and the members that follow it. */
function coreOf(
  entryBytes: number,
  followers: readonly { match: number; recentlyActive: boolean }[] = [],
): Pick<RaftCore, "status" | "firstWithin"> {
  const progress = new Map(followers.map((follower, i) => [String(i), follower]));
  return {
    status: () => ({ progress }) as unknown as RaftStatus,
    firstWithin: (bytesMax) => (last + 1 - Math.floor(bytesMax / entryBytes)) as LogIndex,
  };
}

const keep = (raft: ReturnType<typeof coreOf>, catchUpEntries = 5_000): number =>
  keepFrom(raft, last as LogIndex, catchUpEntries);

test("small entries are kept by number", () => {
  expect(keep(coreOf(100))).toBe(last - 5_000);
  expect(keep(coreOf(100, [{ match: 10, recentlyActive: true }]))).toBe(last - 5_000);
  expect(keep(coreOf(100), 20_000)).toBe(0);
});

test("large ones by bytes, more of them for a member that lags and answers", () => {
  expect(keep(coreOf(mib))).toBe(last + 1 - 16);
  expect(keep(coreOf(mib, [{ match: last - 3, recentlyActive: true }]))).toBe(last + 1 - 16);
  expect(keep(coreOf(mib, [{ match: last - 40, recentlyActive: true }]))).toBe(last + 1 - 40);
  expect(keep(coreOf(mib, [{ match: last - 40, recentlyActive: false }]))).toBe(last + 1 - 16);
  expect(keep(coreOf(mib, [{ match: 10, recentlyActive: true }]))).toBe(last + 1 - 64);
});

test("nothing beyond the synced point is cut", () => {
  expect(keep(coreOf(20 * mib))).toBe(last + 1);
});
