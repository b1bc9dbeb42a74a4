// The API as a client may understand it, in its plainest form: applied command by command in the
// order of the log it says what every answer must be. Second opinion to mvcc, apply and lease.

import { emptyBytes, fromUtf8 } from "../../src/base/index.ts";
import {
  CompactionRequest,
  CompareResult,
  CompareTarget,
  DeleteRangeRequest,
  LeaseExpiry,
  LeaseGrantRequest,
  LeaseRevokeRequest,
  PutRequest,
  TxnRequest,
} from "../../src/wire/index.ts";
import type { CommandBodyKind, Compare, RangeRequest, RequestOp } from "../../src/wire/index.ts";

export interface Pair {
  readonly key: string;
  readonly value: string;
  readonly create: number;
  readonly mod: number;
  readonly version: number;
  readonly lease: bigint;
}

export interface ModelEvent {
  readonly kind: "put" | "delete";
  readonly key: string;
  readonly revision: number;
  readonly pair: Pair | undefined;
  readonly previous: Pair | undefined;
}

export function renderPair(pair: Pair | undefined): string {
  return pair === undefined
    ? "-"
    : `${pair.key}=${pair.value}@${pair.create}.${pair.mod}.${pair.version}.${pair.lease}`;
}

export function text(bytes: Uint8Array): string {
  return fromUtf8(bytes);
}

export function isIn(key: string, from: string, rangeEnd: string): boolean {
  return rangeEnd === "" ? key === from : key >= from && (rangeEnd === "\0" || key < rangeEnd);
}

/** Leaves a txn without a trace. */
class Refusal extends Error {}

export class Model {
  revision = 1;
  compacted = 0;
  #pairs = new Map<string, Pair>();
  /** By revision; the first two are empty. */
  readonly events: ModelEvent[][] = [[], []];
  readonly leases = new Map<bigint, number>();
  readonly #versions = new Map<
    string,
    { readonly revision: number; readonly pair: Pair | undefined }[]
  >();
  #open: ModelEvent[] = [];

  get pairs(): ReadonlyMap<string, Pair> {
    return this.#pairs;
  }

  /** Executes a command of the log; the answer as `renderResult` would render the right one. */
  apply(kind: CommandBodyKind, body: Uint8Array, term: number): string {
    switch (kind) {
      case "put":
        return this.#put(PutRequest.decode(body));
      case "deleteRange":
        return this.#deleteRange(DeleteRangeRequest.decode(body));
      case "txn":
        return this.#txn(TxnRequest.decode(body));
      case "compaction":
        return this.#compact(CompactionRequest.decode(body).revision);
      case "leaseGrant":
        return this.#grant(LeaseGrantRequest.decode(body));
      case "leaseRevoke":
        return this.#revoke(LeaseRevokeRequest.decode(body).id);
      case "leaseExpiry":
        return this.#expire(LeaseExpiry.decode(body), term);
      default:
        return `done r${this.revision}`;
    }
  }

  /** The pairs that a range shows at `revision` (0: now), rendered. */
  range(request: RangeRequest): string {
    const from = text(request.key);
    const rangeEnd = text(request.rangeEnd);
    const found: Pair[] = [];
    for (const key of [...this.#versions.keys()].sort()) {
      if (isIn(key, from, rangeEnd)) {
        const pair =
          request.revision > 0 ? this.pairAt(key, request.revision) : this.#pairs.get(key);
        if (pair !== undefined) {
          found.push(pair);
        }
      }
    }
    const { limit } = request;
    const kvs = request.countOnly ? [] : limit > 0 ? found.slice(0, limit) : found;
    const shown = kvs.map((pair) => renderPair(request.keysOnly ? { ...pair, value: "" } : pair));
    const more = !request.countOnly && limit > 0 && found.length > limit;
    return `${shown.join(",")} more=${more} count=${found.length}`;
  }

  pairAt(key: string, revision: number): Pair | undefined {
    return this.#versions.get(key)?.findLast((version) => version.revision <= revision)?.pair;
  }

  #put(request: PutRequest): string {
    const code = this.#checkPut(request);
    if (code !== undefined) {
      return `error ${code}`;
    }
    const answer = this.#putIn(request);
    this.#commit();
    return answer;
  }

  #checkPut(request: PutRequest): string | undefined {
    if (request.lease !== 0n && !this.leases.has(request.lease)) {
      return "leaseNotFound";
    }
    const keeps = request.ignoreValue || request.ignoreLease;
    return keeps && !this.#pairs.has(text(request.key)) ? "keyNotFound" : undefined;
  }

  #putIn(request: PutRequest): string {
    const key = text(request.key);
    const previous = this.#pairs.get(key);
    if (previous === undefined && (request.ignoreValue || request.ignoreLease)) {
      throw new Refusal();
    }
    const revision = this.revision + 1;
    const pair: Pair = {
      key,
      value: request.ignoreValue ? (previous?.value ?? "") : text(request.value),
      create: previous?.create ?? revision,
      mod: revision,
      version: (previous?.version ?? 0) + 1,
      lease: request.ignoreLease ? (previous?.lease ?? 0n) : request.lease,
    };
    this.#pairs.set(key, pair);
    this.#open.push({ kind: "put", key, revision, pair, previous });
    return `put r${revision} prev=${request.prevKv ? renderPair(previous) : "-"}`;
  }

  #deleteRange(request: DeleteRangeRequest): string {
    const answer = this.#deleteIn(request);
    this.#commit();
    return answer;
  }

  #deleteIn(request: DeleteRangeRequest): string {
    const previous = this.#deleteKeys(text(request.key), text(request.rangeEnd));
    const revision = this.#open.length > 0 ? this.revision + 1 : this.revision;
    const shown = request.prevKv ? previous.map(renderPair).join(",") : "";
    return `delete r${revision} n=${previous.length} prev=${shown}`;
  }

  #deleteKeys(from: string, rangeEnd: string): Pair[] {
    const gone: Pair[] = [];
    for (const key of [...this.#pairs.keys()].sort()) {
      const pair = this.#pairs.get(key);
      if (pair !== undefined && isIn(key, from, rangeEnd)) {
        gone.push(pair);
        this.#pairs.delete(key);
        const revision = this.revision + 1;
        this.#open.push({ kind: "delete", key, revision, pair: undefined, previous: pair });
      }
    }
    return gone;
  }

  #commit(): void {
    if (this.#open.length === 0) {
      return;
    }
    this.revision++;
    this.events.push(this.#open);
    for (const { key, revision, pair } of this.#open) {
      const versions = this.#versions.get(key);
      if (versions === undefined) {
        this.#versions.set(key, [{ revision, pair }]);
      } else {
        versions.push({ revision, pair });
      }
    }
    this.#open = [];
  }

  #txn(request: TxnRequest): string {
    const code = this.#checkTxn(request);
    if (code !== undefined) {
      return `error ${code}`;
    }
    const before = new Map(this.#pairs);
    try {
      const answer = this.#runTxn(request, this.#choices(request), false);
      this.#commit();
      return answer;
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      this.#pairs = before;
      this.#open = [];
      return "error keyNotFound";
    }
  }

  /** Which branch every txn of the tree takes, all judged on the state before. */
  #choices(request: TxnRequest): Map<TxnRequest, boolean> {
    const choices = new Map<TxnRequest, boolean>();
    const walk = (txn: TxnRequest): void => {
      const succeeded = txn.compare.every((compare) => this.#holds(compare));
      choices.set(txn, succeeded);
      for (const { request: operation } of succeeded ? txn.success : txn.failure) {
        if (operation?.kind === "requestTxn") {
          walk(operation.value);
        }
      }
    };
    walk(request);
    return choices;
  }

  #checkTxn(request: TxnRequest): string | undefined {
    const succeeded = request.compare.every((compare) => this.#holds(compare));
    for (const { request: operation } of succeeded ? request.success : request.failure) {
      const code =
        operation?.kind === "requestPut"
          ? this.#checkPut(operation.value)
          : operation?.kind === "requestTxn"
            ? this.#checkTxn(operation.value)
            : operation?.kind === "requestRange"
              ? this.#checkRevision(operation.value.revision)
              : undefined;
      if (code !== undefined) {
        return code;
      }
    }
    return undefined;
  }

  #checkRevision(revision: number): string | undefined {
    if (revision > this.revision) {
      return "futureRevision";
    }
    return revision > 0 && revision < this.compacted ? "compacted" : undefined;
  }

  #runTxn(txn: TxnRequest, choices: Map<TxnRequest, boolean>, nested: boolean): string {
    const succeeded = choices.get(txn) === true;
    const answers = (succeeded ? txn.success : txn.failure).map((op) => this.#runOp(op, choices));
    const revision = nested ? 0 : this.#visibleRevision;
    return `txn r${revision} ${succeeded} [${answers.join("; ")}]`;
  }

  #runOp({ request }: RequestOp, choices: Map<TxnRequest, boolean>): string {
    switch (request?.kind) {
      case "requestPut":
        return this.#putIn(request.value);
      case "requestDeleteRange":
        return this.#deleteIn(request.value);
      case "requestTxn":
        return this.#runTxn(request.value, choices, true);
      case "requestRange":
        return `range r${this.#visibleRevision} ${this.#rangeIn(request.value)}`;
      default:
        throw new Error("an empty operation");
    }
  }

  /** Inside a txn a range sees its own writes, also of keys that nobody wrote before. */
  #rangeIn(request: RangeRequest): string {
    if (request.revision > 0 && request.revision <= this.revision) {
      return this.range(request);
    }
    const from = text(request.key);
    const found = [...this.#pairs.values()].filter((pair) =>
      isIn(pair.key, from, text(request.rangeEnd)),
    );
    found.sort((a, b) => (a.key < b.key ? -1 : 1));
    return `${found.map(renderPair).join(",")} more=false count=${found.length}`;
  }

  get #visibleRevision(): number {
    return this.#open.length > 0 ? this.revision + 1 : this.revision;
  }

  #holds(compare: Compare): boolean {
    const from = text(compare.key);
    const rangeEnd = text(compare.rangeEnd);
    const pairs = [...this.#pairs.values()].filter((pair) => isIn(pair.key, from, rangeEnd));
    const byValue = compare.target === CompareTarget.VALUE;
    if (pairs.length === 0) {
      return !byValue && this.#pairHolds(compare, undefined);
    }
    return pairs.every((pair) => this.#pairHolds(compare, pair));
  }

  #pairHolds(compare: Compare, pair: Pair | undefined): boolean {
    const union = compare.targetUnion;
    let difference = 0;
    if (union?.kind === "value") {
      const wanted = text(union.value ?? emptyBytes);
      const value = pair?.value ?? "";
      difference = value < wanted ? -1 : value > wanted ? 1 : 0;
    } else if (union?.kind === "version") {
      difference = (pair?.version ?? 0) - union.value;
    } else if (union?.kind === "createRevision") {
      difference = (pair?.create ?? 0) - union.value;
    } else if (union?.kind === "modRevision") {
      difference = (pair?.mod ?? 0) - union.value;
    } else if (union?.kind === "lease") {
      difference = Number((pair?.lease ?? 0n) - union.value);
    }
    switch (compare.result) {
      case CompareResult.EQUAL:
        return difference === 0;
      case CompareResult.NOT_EQUAL:
        return difference !== 0;
      case CompareResult.GREATER:
        return difference > 0;
      default:
        return difference < 0;
    }
  }

  #compact(revision: number): string {
    if (revision <= this.compacted && !(revision === 0 && this.compacted === 0)) {
      return "error compacted";
    }
    if (revision > this.revision) {
      return "error futureRevision";
    }
    this.compacted = revision;
    return `compaction r${this.revision}`;
  }

  #grant({ id, ttl }: LeaseGrantRequest): string {
    if (this.leases.has(id)) {
      return "error leaseExists";
    }
    this.leases.set(id, ttl);
    return `grant r${this.revision} ${id} ${ttl}`;
  }

  #revoke(id: bigint): string {
    if (!this.leases.has(id)) {
      return "error leaseNotFound";
    }
    this.#endLease(id);
    return `revoke r${this.revision}`;
  }

  #endLease(id: bigint): void {
    for (const key of [...this.#pairs.keys()].sort()) {
      if (this.#pairs.get(key)?.lease === id) {
        this.#deleteKeys(key, "");
      }
    }
    this.#commit();
    this.leases.delete(id);
  }

  #expire(expiry: LeaseExpiry, entryTerm: number): string {
    if (expiry.term === entryTerm) {
      for (const id of expiry.ids) {
        if (this.leases.has(id)) {
          this.#endLease(id);
        }
      }
    }
    return `done r${this.revision}`;
  }
}
