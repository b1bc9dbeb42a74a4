// A Range inside a txn, whether the txn goes through the log or is only read.

import type { ErrorCode, Revision } from "../base/index.ts";
import type { RangeQuery, SortTarget, StoreReader } from "../mvcc/contract.ts";
import { RangeRequestSortOrder, RangeRequestSortTarget } from "../wire/index.ts";
import type { RangeRequest } from "../wire/index.ts";

const sortTargets: Readonly<Record<number, SortTarget>> = {
  [RangeRequestSortTarget.KEY]: "key",
  [RangeRequestSortTarget.VERSION]: "version",
  [RangeRequestSortTarget.CREATE]: "create",
  [RangeRequestSortTarget.MOD]: "mod",
  [RangeRequestSortTarget.VALUE]: "value",
};

const sortOrders: Readonly<Record<number, RangeQuery["sortOrder"]>> = {
  [RangeRequestSortOrder.NONE]: "none",
  [RangeRequestSortOrder.ASCEND]: "ascend",
  [RangeRequestSortOrder.DESCEND]: "descend",
};

/** The front door has refused unknown sort options; here they mean the default. */
export function toRangeQuery(request: RangeRequest): RangeQuery {
  return {
    key: request.key,
    rangeEnd: request.rangeEnd,
    revision: (request.revision > 0 ? request.revision : 0) as Revision | 0,
    limit: request.limit > 0 ? request.limit : 0,
    keysOnly: request.keysOnly,
    countOnly: request.countOnly,
    sortTarget: sortTargets[request.sortTarget] ?? "key",
    sortOrder: sortOrders[request.sortOrder] ?? "none",
    minModRevision: request.minModRevision,
    maxModRevision: request.maxModRevision,
    minCreateRevision: request.minCreateRevision,
    maxCreateRevision: request.maxCreateRevision,
  };
}

/**
 * Whether a range of a txn may read at `revision`. etcd compares negative revisions with the
 * compaction point, which stands at -1 before the first compaction: there, unlike in a Range of
 * its own, only -1 on a store never compacted reads the latest.
 */
export function checkTxnRevision(reader: StoreReader, revision: number): ErrorCode | undefined {
  if (revision === 0) {
    return undefined;
  }
  if (revision > reader.revision) {
    return "futureRevision";
  }
  const lowest = reader.compactedRevision === 0 ? -1 : reader.compactedRevision;
  return revision < lowest ? "compacted" : undefined;
}
