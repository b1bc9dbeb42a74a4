// A watch and the stream that it belongs to, as the hub keeps them.

import type { Revision } from "../base/index.ts";
import type { KeyRange } from "./contract.ts";
import type { WatchOptions, WatchStreamSink } from "./watch-contract.ts";

/**
 * What a watcher wants of an event, as three bits: watchers of one range and one variant get the
 * same events in the same array.
 */
export const variantNoPut = 1;
export const variantNoDelete = 2;
export const variantPrevious = 4;
export const variantCount = 8;

export function variantOf(options: WatchOptions): number {
  return (
    (options.noPut ? variantNoPut : 0) |
    (options.noDelete ? variantNoDelete : 0) |
    (options.previous ? variantPrevious : 0)
  );
}

/**
 * - synced: has everything up to the hub's revision, and is in the index.
 * - behind: misses events from `next` on, and waits in the queue for a step of catching up.
 * - stalled: behind, but its stream takes nothing; waits for the stream's `resume`.
 * - gone: canceled, compacted or closed.
 */
export type WatcherState = "synced" | "behind" | "stalled" | "gone";

export interface Watcher {
  readonly id: bigint;
  readonly stream: StreamState;
  readonly range: KeyRange;
  readonly variant: number;
  readonly progressNotify: boolean;
  /** As asked; 0 = from the revision after creation. */
  readonly startRevision: Revision | 0;
  state: WatcherState;
  /**
   * No event below it is ever delivered (again). Exact while behind or stalled; a synced watcher
   * has everything up to the hub's revision, even where that is further.
   */
  next: Revision;
  /** No event was delivered since the last turn of progress notices. */
  quiet: boolean;
}

export interface StreamState {
  readonly sink: WatchStreamSink;
  readonly watchers: Map<bigint, Watcher>;
  readonly stalled: Set<Watcher>;
  /** Watchers behind or stalled. */
  behindCount: number;
  /** Watchers that want progress notices. */
  progressCount: number;
  /** When the next turn of progress notices is due; undefined until the first tick sees it. */
  progressDueMs: number | undefined;
  closed: boolean;
}

/** The watchers of one distinct range, by variant. */
export interface WatchGroup {
  readonly members: (Set<Watcher> | undefined)[];
  size: number;
  /** Scratch of the publication under way: which of its events are in the range. */
  readonly matched: number[];
}
