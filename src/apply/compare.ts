// Comparisons of a txn.

import { compareBytes, compareIds, emptyBytes } from "../base/index.ts";
import type { KeyMeta, RangeQuery, StoreReader } from "../mvcc/contract.ts";
import { CompareResult, CompareTarget, KeyValue } from "../wire/index.ts";
import type { Compare } from "../wire/index.ts";

/** What a comparison sees of a pair. A missing key compares as zero. */
interface Compared {
  readonly version: number;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly lease: bigint;
}

const missing: Compared = { version: 0, createRevision: 0, modRevision: 0, lease: 0n };

/** Whether the pair, or every pair of the range, satisfies the comparison (etcd's applyCompare). */
export function holds(reader: StoreReader, compare: Compare): boolean {
  if (compare.rangeEnd.length > 0) {
    return holdsInRange(reader, compare);
  }
  if (compare.target === CompareTarget.VALUE) {
    const stored = reader.get(compare.key);
    // A missing key has no value: not even "not equal" holds.
    return stored !== undefined && valueHolds(compare, KeyValue.decode(stored.message).value);
  }
  const meta: KeyMeta | undefined = reader.meta(compare.key);
  return metaHolds(compare, meta ?? missing);
}

function holdsInRange(reader: StoreReader, compare: Compare): boolean {
  const byValue = compare.target === CompareTarget.VALUE;
  const { kvs } = reader.range(wholeRange(compare, !byValue));
  if (kvs.length === 0) {
    return !byValue && metaHolds(compare, missing);
  }
  for (const stored of kvs) {
    const pair = KeyValue.decode(stored.message);
    if (byValue ? !valueHolds(compare, pair.value) : !metaHolds(compare, pair)) {
      return false;
    }
  }
  return true;
}

function wholeRange(compare: Compare, keysOnly: boolean): RangeQuery {
  return {
    key: compare.key,
    rangeEnd: compare.rangeEnd,
    revision: 0,
    limit: 0,
    keysOnly,
    countOnly: false,
    sortTarget: "key",
    sortOrder: "none",
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  };
}

function valueHolds(compare: Compare, value: Uint8Array): boolean {
  const union = compare.targetUnion;
  const wanted = union?.kind === "value" ? union.value : emptyBytes;
  return resultHolds(compare.result, compareBytes(value, wanted));
}

/** A union of another kind than the target counts as zero, as in etcd. */
function metaHolds(compare: Compare, pair: Compared): boolean {
  const union = compare.targetUnion;
  const wanted = (kind: "version" | "createRevision" | "modRevision"): number =>
    union?.kind === kind ? union.value : 0;
  switch (compare.target) {
    case CompareTarget.VERSION:
      return resultHolds(compare.result, pair.version - wanted("version"));
    case CompareTarget.CREATE:
      return resultHolds(compare.result, pair.createRevision - wanted("createRevision"));
    case CompareTarget.MOD:
      return resultHolds(compare.result, pair.modRevision - wanted("modRevision"));
    case CompareTarget.LEASE: {
      // Lease ids are int64 on the wire and compare as such.
      const lease = BigInt.asIntN(64, pair.lease);
      return resultHolds(
        compare.result,
        compareIds(lease, union?.kind === "lease" ? union.value : 0n),
      );
    }
    default:
      return resultHolds(compare.result, 0);
  }
}

function resultHolds(result: CompareResult, difference: number): boolean {
  switch (result) {
    case CompareResult.EQUAL:
      return difference === 0;
    case CompareResult.NOT_EQUAL:
      return difference !== 0;
    case CompareResult.GREATER:
      return difference > 0;
    case CompareResult.LESS:
      return difference < 0;
    default:
      return true;
  }
}
