// Where the log may be cut after a synced point: some entries stay for members that lag. The core
// keeps them in memory, so that is a number of entries and of bytes, whichever is less.

import type { LogIndex } from "../base/index.ts";
import type { RaftCore } from "../raft/index.ts";

/** The log may grow by this in memory until a synced point is due, bytes. */
export const logGrowthBytesMax: number = 16 * 1024 * 1024;
/** Entries that stay for members that may need them, bytes. */
const catchUpBytes = 16 * 1024 * 1024;
/** The same while a member that answers is behind them: a snapshot would cost more. */
const catchUpBytesMax = 64 * 1024 * 1024;
/** What the log takes in memory while every member keeps up, bytes. */
export const logMemoryBytes: number = catchUpBytes + logGrowthBytesMax;

/** The first entry to keep when everything up to `index` is in the engine, synced. */
export function keepFrom(
  raft: Pick<RaftCore, "status" | "firstWithin">,
  index: LogIndex,
  catchUpEntries: number,
): LogIndex {
  const byCount = Math.max(0, index - catchUpEntries);
  const byBytes = raft.firstWithin(catchUpBytes);
  if (byBytes <= byCount) {
    return byCount as LogIndex;
  }
  let needed: number = byBytes;
  for (const { match, recentlyActive } of raft.status().progress.values()) {
    if (recentlyActive) {
      needed = Math.min(needed, match + 1);
    }
  }
  const least = Math.max(byCount, raft.firstWithin(catchUpBytesMax), needed);
  return Math.min(least, index + 1) as LogIndex;
}
