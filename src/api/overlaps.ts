// "duplicate key given in txn request": a branch may not put a key twice, nor put a key that it
// also deletes, in itself or in its nested transactions.
//
// The rule is etcd's to the letter, with its gaps, since clients were written against it: the two
// branches of one nested transaction exclude each other and may touch the same keys; deletes may
// overlap deletes; a nested transaction's deletes are compared with puts of what stands after it,
// not before it; and a delete up to the end of the key space (range end "\0") is never compared.
//
// Keys become latin1 strings, whose order and equality are those of the bytes. The cost stays
// near n log n whatever the nesting, so that a hostile request within the size limit is cheap.

import { QuorateError } from "../base/index.ts";
import type { RequestOp } from "../wire/index.ts";

/** Keys from `begin` up to but not including `end`. */
interface Interval {
  readonly begin: string;
  readonly end: string;
}

interface Writes {
  readonly puts: Set<string>;
  readonly deletes: IntervalSet;
}

export function checkOverlaps(ops: readonly RequestOp[]): void {
  const only = ops[0]?.request?.kind;
  if (ops.length === 0 || (ops.length === 1 && only !== "requestTxn")) {
    return;
  }
  collectWrites(ops);
}

function collectWrites(ops: readonly RequestOp[]): Writes {
  const puts = new Set<string>();
  const deletes = new IntervalSet();
  deletes.add(deletedIntervals(ops));
  for (const { request } of ops) {
    if (request?.kind === "requestTxn") {
      const success = collectWrites(request.value.success);
      const failure = collectWrites(request.value.failure);
      addPuts(success.puts, puts, deletes, undefined);
      addPuts(failure.puts, puts, deletes, success.puts);
      deletes.addAll(success.deletes);
      deletes.addAll(failure.deletes);
    }
  }
  for (const { request } of ops) {
    if (request?.kind === "requestPut") {
      const key = latin1(request.value.key);
      if (puts.has(key) || deletes.has(key)) {
        throw new QuorateError("duplicateKey");
      }
      puts.add(key);
    }
  }
  return { puts, deletes };
}

/** Adds a nested branch's puts; those in `alternative` are its other branch's and no conflict. */
function addPuts(
  nested: ReadonlySet<string>,
  puts: Set<string>,
  deletes: IntervalSet,
  alternative: ReadonlySet<string> | undefined,
): void {
  for (const key of nested) {
    const twice = puts.has(key) && alternative?.has(key) !== true;
    if (twice || deletes.has(key)) {
      throw new QuorateError("duplicateKey");
    }
    puts.add(key);
  }
}

function deletedIntervals(ops: readonly RequestOp[]): Interval[] {
  const intervals: Interval[] = [];
  for (const { request } of ops) {
    if (request?.kind === "requestDeleteRange") {
      const { key, rangeEnd } = request.value;
      const begin = latin1(key);
      const end = rangeEnd.length === 0 ? `${begin}\0` : latin1(rangeEnd);
      if (begin < end) {
        intervals.push({ begin, end });
      }
    }
  }
  return intervals;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

/**
 * A set of intervals that grows by runs: each run is sorted and disjoint, and runs of like size
 * are merged, so there are only logarithmically many.
 */
class IntervalSet {
  readonly #runs: Interval[][] = [];

  add(intervals: Interval[]): void {
    if (intervals.length > 0) {
      this.#addRun(merged(intervals));
    }
  }

  addAll(other: IntervalSet): void {
    for (const run of other.#runs) {
      this.#addRun(run);
    }
  }

  has(key: string): boolean {
    return this.#runs.some((run) => covers(run, key));
  }

  #addRun(added: Interval[]): void {
    let run = added;
    for (;;) {
      const last = this.#runs.at(-1);
      if (last === undefined || last.length > run.length) {
        break;
      }
      this.#runs.pop();
      run = merged([...last, ...run]);
    }
    this.#runs.push(run);
  }
}

function merged(intervals: Interval[]): Interval[] {
  intervals.sort((a, b) => (a.begin < b.begin ? -1 : a.begin > b.begin ? 1 : 0));
  const run: Interval[] = [];
  for (const interval of intervals) {
    const last = run.at(-1);
    if (last === undefined || interval.begin > last.end) {
      run.push(interval);
    } else if (interval.end > last.end) {
      run[run.length - 1] = { begin: last.begin, end: interval.end };
    }
  }
  return run;
}

function covers(run: readonly Interval[], key: string): boolean {
  let low = 0;
  let high = run.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((run[middle] as Interval).begin <= key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  const candidate = run[low - 1];
  return candidate !== undefined && key < candidate.end;
}
