// Reading, for watchers that are behind, the events that they miss: one read of history serves all
// of them that stand at or after its start. Reads only; the hub delivers.

import { assert } from "../base/index.ts";
import type { Revision, Rng } from "../base/index.ts";
import { MissingRecords } from "./contract.ts";
import type { Commit, StoredEvent, StoreReader } from "./contract.ts";
import type { WatchEvent } from "./watch-contract.ts";
import { EventViews } from "./watch-events.ts";
import { RangeIndex } from "./watch-index.ts";
import type { Watcher } from "./watch-watcher.ts";

export interface CatchUpRead {
  /** The last revision read. */
  readonly covered: Revision;
  /** For every watcher that stood in what was read: its events up to `covered`, maybe none. */
  readonly deliveries: readonly {
    readonly watcher: Watcher;
    readonly events: readonly WatchEvent[];
  }[];
  /** Bytes of the events and replaced pairs read. */
  readonly sizeBytes: number;
}

interface ReadGroup {
  readonly watchers: Watcher[];
  /** Positions of the events in the range. */
  readonly matched: number[];
  /** Batches made so far; watchers that want the same from the same revision share one. */
  readonly batches: {
    readonly variant: number;
    readonly next: Revision;
    readonly events: readonly WatchEvent[];
  }[];
}

/**
 * Reads from `watchers[0].next`, which must be the lowest, up to `to` or about `eventsMax`
 * events. Throws MissingRecords naming all that is not in memory.
 */
export function readCatchUp(
  store: StoreReader,
  watchers: readonly [Watcher, ...Watcher[]],
  to: Revision,
  eventsMax: number,
  rng: Rng,
): CatchUpRead {
  const from = watchers[0].next;
  const commits = store.events(from, to, eventsMax);
  checkCommits(commits, from, to, store.compactedRevision);
  const covered = commits[commits.length - 1]?.revision ?? to;
  const events = commits.flatMap((commit) => commit.events);
  const groups = matchEvents(groupByRange(watchers, covered, rng), events);
  const views = new EventViews(events, store);
  const deliveries: { watcher: Watcher; events: readonly WatchEvent[] }[] = [];
  for (const group of groups) {
    for (const watcher of group.watchers) {
      deliveries.push({ watcher, events: batchFor(group, watcher, events, views) });
    }
  }
  if (views.missing.length > 0) {
    throw new MissingRecords(views.missing);
  }
  let sizeBytes = views.previousBytes;
  for (const event of events) {
    sizeBytes += event.message.length;
  }
  return { covered, deliveries, sizeBytes };
}

/** A watcher's promise has no gaps, so what is read must have none either. */
function checkCommits(
  commits: readonly Commit[],
  from: Revision,
  to: Revision,
  compacted: Revision,
): void {
  let expected: number = from;
  for (const { revision } of commits) {
    // The compacted revision itself may have nothing left but what a reader at it would see.
    assert(
      revision === expected || (expected === compacted && revision === expected + 1),
      () => `history has a gap: revision ${revision} follows ${expected - 1}`,
    );
    expected = revision + 1;
  }
  assert(
    commits.length > 0 || (from === compacted && to === from),
    () => `no history from revision ${from} to ${to}`,
  );
}

interface Groups {
  readonly index: RangeIndex<ReadGroup>;
  readonly all: readonly ReadGroup[];
}

function groupByRange(watchers: readonly Watcher[], covered: Revision, rng: Rng): Groups {
  const index = new RangeIndex<ReadGroup>(rng);
  const all: ReadGroup[] = [];
  for (const watcher of watchers) {
    if (watcher.next > covered) {
      continue;
    }
    let group = index.get(watcher.range);
    if (group === undefined) {
      group = { watchers: [], matched: [], batches: [] };
      index.add(watcher.range, group);
      all.push(group);
    }
    group.watchers.push(watcher);
  }
  return { index, all };
}

function matchEvents(groups: Groups, events: readonly StoredEvent[]): readonly ReadGroup[] {
  const hits: ReadGroup[] = [];
  events.forEach((event, position) => {
    hits.length = 0;
    groups.index.collect(event.key, hits);
    for (const group of hits) {
      group.matched.push(position);
    }
  });
  return groups.all;
}

function batchFor(
  group: ReadGroup,
  watcher: Watcher,
  events: readonly StoredEvent[],
  views: EventViews,
): readonly WatchEvent[] {
  const { variant, next } = watcher;
  for (const batch of group.batches) {
    if (batch.variant === variant && batch.next === next) {
      return batch.events;
    }
  }
  const wanted = group.matched.filter(
    (position) => (events[position] as StoredEvent).revision >= next,
  );
  const made = views.batch(variant, wanted) ?? [];
  group.batches.push({ variant, next, events: made });
  return made;
}
