// A RangeRequest as the store's query, and which revisions it may ask for.

import { QuorateError, toRevision } from "../base/index.ts";
import type { RangeQuery, SortTarget, StoreReader } from "../node/handle.ts";
import type { RangeRequest } from "../wire/index.ts";

/** What is read of a range in one go, bytes of pairs. */
const rangePieceBytes = 1024 * 1024;

const sortTargets: readonly SortTarget[] = ["key", "version", "create", "mod", "value"];
const sortOrders = ["none", "ascend", "descend"] as const;

/** The store's query of a request that passed `checkRange`. */
export function rangeQuery(request: RangeRequest): RangeQuery {
  return {
    key: request.key,
    rangeEnd: request.rangeEnd,
    revision: request.revision <= 0 ? 0 : toRevision(request.revision),
    limit: request.limit <= 0 ? 0 : request.limit,
    keysOnly: request.keysOnly,
    countOnly: request.countOnly,
    sortTarget: sortTargets[request.sortTarget] ?? "key",
    sortOrder: sortOrders[request.sortOrder] ?? "none",
    minModRevision: request.minModRevision,
    maxModRevision: request.maxModRevision,
    minCreateRevision: request.minCreateRevision,
    maxCreateRevision: request.maxCreateRevision,
    sizeBytesMax: rangePieceBytes,
    uncounted: false,
  };
}

/** Refuses revisions that are still to come or compacted; the compacted one itself is readable. */
export function checkRevision(store: StoreReader, revision: number): void {
  if (revision > store.revision) {
    throw new QuorateError("futureRevision");
  }
  if (revision !== 0 && revision < store.compactedRevision) {
    throw new QuorateError("compacted");
  }
}
