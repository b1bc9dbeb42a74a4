// Old versions of a key, found along the pointers that its events hold.

import { CorruptionError } from "../base/index.ts";
import type { KeyEntry } from "./key-entry.ts";
import type { SeekResult } from "./history.ts";
import type { StoreState } from "./state.ts";

/**
 * Finds the pair that a key had at `revision` (compacted <= revision): "found", with its event in
 * `history.block` and `index`; "none" if the key did not exist then; "missing" when a record is,
 * which is wanted then. See key-entry.ts for how many events it looks at.
 */
export function seekVersion(state: StoreState, entry: KeyEntry, revision: number): SeekResult {
  if (entry.mod <= revision) {
    return entry.deleted ? "none" : seekPointed(state, entry.mod, entry.sub);
  }
  if (!mayExistAt(entry, revision)) {
    return "none";
  }
  // The oldest anchor that is still too new is the nearest place to start from.
  let at = entry.mod;
  let sub = entry.sub;
  for (let k = entry.anchors; k >= 1; k--) {
    if ((entry.anchorRevision[k] as number) > revision) {
      at = entry.anchorRevision[k] as number;
      sub = entry.anchorSub[k] as number;
      break;
    }
  }
  const { history, head } = state;
  for (;;) {
    if (seekPointed(state, at, sub) === "missing") {
      return "missing";
    }
    head.read(history.block, history.index);
    if (head.previousRevision <= revision) {
      break;
    }
    let older = head.previousRevision;
    let olderSub = head.previousSub;
    for (let k = head.level; k >= 1; k--) {
      if ((head.jumpRevision[k] as number) > revision) {
        older = head.jumpRevision[k] as number;
        olderSub = head.jumpSub[k] as number;
        break;
      }
    }
    // Pointers that lead back again would be followed for ever.
    if (older > at || (older === at && olderSub >= sub)) {
      throw new CorruptionError(`event ${at}.${sub} points to ${older}.${olderSub}, not back`);
    }
    at = older;
    sub = olderSub;
  }
  // What a creating put follows is a tombstone or nothing; anything else follows a pair.
  if (head.created || head.previousRevision === 0) {
    return "none";
  }
  return seekPointed(state, head.previousRevision, head.previousSub);
}

/** Whether the key existed at `revision`; a revision that the page alone can tell costs nothing. */
export function existedAt(state: StoreState, entry: KeyEntry, revision: number): SeekResult {
  if (entry.mod <= revision) {
    return entry.deleted ? "none" : "found";
  }
  if (entry.create <= revision) {
    return "found";
  }
  return seekVersion(state, entry, revision);
}

/** False if all events of the key are known to be younger. */
function mayExistAt(entry: KeyEntry, revision: number): boolean {
  return entry.create <= revision || entry.depth !== entry.version + (entry.deleted ? 1 : 0);
}

function seekPointed(state: StoreState, revision: number, sub: number): SeekResult {
  const result = state.history.seek(revision, sub);
  if (result === "none") {
    throw new CorruptionError(`event ${revision}.${sub} is missing from history`);
  }
  return result;
}
