// A node without a cluster: commands are executed at once against FakeStore, answers come a
// microtask later. What tests want to go wrong, they set.

import {
  type ClusterId,
  compareBytes,
  compareIds,
  emptyBytes,
  type ErrorCode,
  type LeaseId,
  leaseTtlSecondsMax,
  type MemberId,
  must,
  noMember,
  QuorateError,
  SeededRng,
  toLeaseId,
  toLogIndex,
  toMemberId,
  toRevision,
  toTerm,
} from "../../src/base/index.ts";
import { AuthStore } from "../../src/auth/index.ts";
import type {
  Alarm,
  Backup,
  CommandKind,
  CommandResult,
  ErrorResult,
  HashResult,
  LeaseTimeToLive,
  Member,
  NodeHandle,
  NodeStatus,
  StateReader,
  TxnOpResult,
  TxnResult,
  WatchStream,
  WatchStreamSink,
} from "../../src/node/handle.ts";
import { WatchHub } from "../../src/mvcc/watch-hub.ts";
import {
  AlarmRequest,
  CompactionRequest,
  type Compare,
  DeleteRangeRequest,
  type KeyValue,
  LeaseGrantRequest,
  LeaseRevokeRequest,
  PutRequest,
  type RequestOp,
  TxnRequest,
} from "../../src/wire/index.ts";
import { rangeQuery } from "../../src/api/range-query.ts";
import { FakeStore, stored } from "./fake-store.ts";

export const memberId = 0x8e9e05c52164694dn as MemberId;
export const clusterId = 0xcdf818194e3a8c32n as ClusterId;

class Failed extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode) {
    super(code);
    this.code = code;
  }
}

export class FakeNode implements NodeHandle {
  readonly store = new FakeStore();
  readonly leases = new Map<LeaseId, number>();
  alarms: Alarm[] = [];
  readonly auth = new AuthStore();
  readonly proposed: { readonly kind: CommandKind; readonly body: Uint8Array }[] = [];
  readonly members: Member[] = [];
  /** Linearizable and other reads made. */
  readonly reads: boolean[] = [];
  statusOverrides: Partial<NodeStatus> = {};
  /** When set, proposals and linearizable reads reject with it. */
  failWith: Error | undefined;
  /** When set, reads answer with a promise. */
  slowReads = false;
  movedTo: MemberId | undefined;
  compactionDoneCalls = 0;
  reclaimCalls = 0;
  backupBytes = new Uint8Array(0);
  readonly #hub = new WatchHub(this.store, { rng: new SeededRng(1), progressIntervalMs: 600_000 });

  status(): NodeStatus {
    return {
      clusterId,
      memberId,
      name: "fake",
      leader: memberId,
      isLeader: true,
      isLearner: false,
      term: toTerm(3),
      commit: toLogIndex(12),
      applied: toLogIndex(11),
      revision: this.store.revision,
      compactedRevision: this.store.compactedRevision,
      sizeBytes: 4096,
      sizeInUseBytes: 2048,
      quotaBytes: 2 ** 31,
      ...this.statusOverrides,
    };
  }

  userOfToken(token: string): string | undefined {
    return this.auth.tokens.use(token, 0, 1);
  }

  async propose(kind: CommandKind, encoded: Uint8Array): Promise<CommandResult> {
    this.proposed.push({ kind, body: encoded });
    if (this.failWith !== undefined) {
      throw this.failWith;
    }
    try {
      const result = this.#execute(kind, encoded);
      this.commit();
      return result;
    } catch (error) {
      if (error instanceof Failed) {
        return { kind: "error", code: error.code };
      }
      throw error;
    }
  }

  /** Makes what was written to `store` one revision. */
  commit(): void {
    const commit = this.store.commit();
    if (commit !== undefined) {
      this.#hub.publish(commit);
    }
  }

  read<T>(linearizable: boolean, read: (state: StateReader) => T): T | Promise<T> {
    this.reads.push(linearizable);
    if (linearizable && this.failWith !== undefined) {
      return Promise.reject(this.failWith);
    }
    return linearizable || this.slowReads
      ? Promise.resolve().then(() => read(this.#reader))
      : read(this.#reader);
  }

  openWatchStream(sink: WatchStreamSink): WatchStream {
    return this.#hub.openStream(sink);
  }

  /** Lets watchers that are behind catch up. */
  catchUp(): void {
    while (this.#hub.hasCatchUp) {
      this.#hub.catchUp();
    }
  }

  async leaseKeepAlive(id: LeaseId): Promise<number> {
    if (this.failWith !== undefined) {
      throw this.failWith;
    }
    return this.leases.get(id) ?? 0;
  }

  async leaseTimeToLive(id: LeaseId, wantKeys: boolean): Promise<LeaseTimeToLive> {
    const granted = this.leases.get(id);
    return granted === undefined
      ? { ttlSeconds: -1, grantedTtlSeconds: 0, keys: [] }
      : {
          ttlSeconds: granted - 1,
          grantedTtlSeconds: granted,
          keys: wantKeys ? this.store.leaseKeys(id) : [],
        };
  }

  async hashKv(revision: number): Promise<HashResult> {
    if (revision > this.store.revision) {
      throw new QuorateError("futureRevision");
    }
    return {
      hash: 0xdeadbeef,
      compactedRevision: this.store.compactedRevision,
      hashRevision: toRevision(revision === 0 ? this.store.revision : revision),
    };
  }

  async hash(): Promise<number> {
    return 0x1234;
  }

  async compactionDone(): Promise<void> {
    this.compactionDoneCalls++;
  }

  async memberAdd(peerUrls: readonly string[], isLearner: boolean): Promise<Member> {
    const id = toMemberId(BigInt(this.members.length + 100));
    const member: Member = { id, name: "", peerUrls, clientUrls: [], isLearner };
    this.members.push(member);
    return member;
  }

  async memberRemove(id: MemberId): Promise<void> {
    this.members.splice(this.#positionOf(id), 1);
  }

  async memberUpdate(id: MemberId, peerUrls: readonly string[]): Promise<void> {
    const at = this.#positionOf(id);
    this.members[at] = { ...must(this.members[at]), peerUrls };
  }

  async memberPromote(id: MemberId): Promise<void> {
    const at = this.#positionOf(id);
    const member = must(this.members[at]);
    if (!member.isLearner) {
      throw new QuorateError("memberNotLearner");
    }
    this.members[at] = { ...member, isLearner: false };
  }

  #positionOf(id: MemberId): number {
    const at = this.members.findIndex((member) => member.id === id);
    if (at < 0) {
      throw new QuorateError("memberNotFound");
    }
    return at;
  }

  backup(): Promise<Backup> {
    const bytes = this.backupBytes;
    return Promise.resolve({
      sizeBytes: bytes.length,
      read: (position: number, length: number) =>
        Promise.resolve(bytes.subarray(position, position + length)),
      close: () => Promise.resolve(),
    });
  }

  reclaimSpace(): void {
    this.reclaimCalls++;
  }

  async moveLeader(to: MemberId): Promise<void> {
    if (to === noMember || !this.members.some(({ id }) => id === to)) {
      throw new QuorateError("badLeaderTransferee");
    }
    this.movedTo = to;
  }

  get #reader(): StateReader {
    return {
      store: this.store,
      readTxn: (encoded) => this.#guarded(() => this.#txn(TxnRequest.decode(encoded))),
      leaseIds: () => [...this.leases.keys()].sort(compareIds),
      leaseExists: (id) => this.leases.has(id),
      members: () => this.members,
      alarms: () => this.alarms,
      auth: this.auth,
      checkLease: (caller) => this.auth.checkRoot(caller),
    };
  }

  #guarded<T>(run: () => T): T | ErrorResult {
    try {
      return run();
    } catch (error) {
      if (error instanceof Failed) {
        return { kind: "error", code: error.code };
      }
      throw error;
    }
  }

  #execute(kind: CommandKind, encoded: Uint8Array): CommandResult {
    switch (kind) {
      case "put":
        return this.#put(PutRequest.decode(encoded));
      case "deleteRange":
        return this.#deleteRange(DeleteRangeRequest.decode(encoded));
      case "txn":
        return this.#txn(TxnRequest.decode(encoded));
      case "compaction":
        return this.#compact(CompactionRequest.decode(encoded).revision);
      case "leaseGrant":
        return this.#grant(LeaseGrantRequest.decode(encoded));
      case "leaseRevoke":
        return this.#revoke(toLeaseId(LeaseRevokeRequest.decode(encoded).id));
      case "alarm":
        return this.#alarm(AlarmRequest.decode(encoded));
      default:
        throw new Error(`the fake knows no ${kind}`);
    }
  }

  #revisionAfter(): ReturnType<typeof toRevision> {
    return toRevision(this.store.revision + (this.store.changed ? 1 : 0));
  }

  #put(request: PutRequest): Extract<TxnOpResult, { kind: "put" }> {
    const previous = this.store.latest(request.key);
    if ((request.ignoreLease || request.ignoreValue) && previous === undefined) {
      throw new Failed("keyNotFound");
    }
    const lease = request.ignoreLease ? (previous?.lease ?? 0n) : request.lease;
    if (lease !== 0n && !this.leases.has(toLeaseId(lease))) {
      throw new Failed("leaseNotFound");
    }
    const value = request.ignoreValue ? (previous?.value ?? emptyBytes) : request.value;
    this.store.put(request.key, value, lease);
    return {
      kind: "put",
      revision: this.#revisionAfter(),
      previous: request.prevKv && previous !== undefined ? stored(previous) : undefined,
    };
  }

  #deleteRange(request: DeleteRangeRequest): Extract<TxnOpResult, { kind: "deleteRange" }> {
    const pairs = this.store.delete(request);
    return {
      kind: "deleteRange",
      revision: this.#revisionAfter(),
      deleted: pairs.length,
      previous: request.prevKv ? pairs.map(stored) : [],
    };
  }

  #txn(request: TxnRequest): TxnResult {
    const succeeded = request.compare.every((compare) => this.#holds(compare));
    const ops = succeeded ? request.success : request.failure;
    const responses = ops.map((op) => this.#operation(op));
    return { kind: "txn", revision: this.#revisionAfter(), succeeded, responses };
  }

  #operation({ request }: RequestOp): TxnOpResult {
    switch (request?.kind) {
      case "requestPut":
        return this.#put(request.value);
      case "requestDeleteRange":
        return this.#deleteRange(request.value);
      case "requestTxn":
        return this.#txn(request.value);
      case "requestRange": {
        if (request.value.revision > this.store.revision) {
          throw new Failed("futureRevision");
        }
        const range = this.store.range(rangeQuery(request.value));
        return { kind: "range", revision: this.#revisionAfter(), range };
      }
      default:
        throw new Error("an empty operation was let through");
    }
  }

  #holds(compare: Compare): boolean {
    const pairs = this.store.pairs(compare, 0);
    const found: (KeyValue | undefined)[] = pairs.length === 0 ? [undefined] : pairs;
    return found.every((pair) => {
      const order = orderOf(compare, pair);
      if (order === undefined) {
        return false;
      }
      return [order === 0, order > 0, order < 0, order !== 0][compare.result] ?? false;
    });
  }

  #compact(revision: number): CommandResult {
    if (revision > this.store.revision) {
      throw new Failed("futureRevision");
    }
    if (revision <= this.store.compactedRevision) {
      throw new Failed("compacted");
    }
    this.store.compactedRevision = toRevision(revision);
    return { kind: "compaction", revision: this.store.revision };
  }

  #grant(request: LeaseGrantRequest): CommandResult {
    const id = toLeaseId(request.id);
    if (request.ttl > leaseTtlSecondsMax) {
      throw new Failed("leaseTtlTooLarge");
    }
    if (this.leases.has(id)) {
      throw new Failed("leaseExists");
    }
    const ttlSeconds = Math.max(2, request.ttl);
    this.leases.set(id, ttlSeconds);
    return { kind: "leaseGrant", revision: this.store.revision, id, ttlSeconds };
  }

  #revoke(id: LeaseId): CommandResult {
    if (!this.leases.delete(id)) {
      throw new Failed("leaseNotFound");
    }
    for (const key of this.store.leaseKeys(id)) {
      this.store.delete({ key, rangeEnd: emptyBytes });
    }
    return { kind: "leaseRevoke", revision: this.#revisionAfter() };
  }

  #alarm(request: AlarmRequest): CommandResult {
    const kind = request.alarm === 1 ? "noSpace" : "corrupt";
    const alarm: Alarm = { kind, memberId: request.memberId as MemberId };
    const others = this.alarms.filter((a) => a.kind !== kind || a.memberId !== alarm.memberId);
    const had = others.length < this.alarms.length;
    const raises = request.action === 1 && request.alarm !== 0;
    this.alarms = raises ? [...others, alarm] : others;
    return { kind: "alarm", revision: this.store.revision, alarms: raises || had ? [alarm] : [] };
  }
}

function orderOf({ target, targetUnion }: Compare, pair: KeyValue | undefined): number | undefined {
  const wanted = targetUnion?.value ?? 0;
  switch (target) {
    case 0:
      return (pair?.version ?? 0) - Number(wanted);
    case 1:
      return (pair?.createRevision ?? 0) - Number(wanted);
    case 2:
      return (pair?.modRevision ?? 0) - Number(wanted);
    case 3:
      return pair === undefined
        ? undefined
        : compareBytes(pair.value, wanted instanceof Uint8Array ? wanted : emptyBytes);
    default:
      return compareIds(pair?.lease ?? 0n, typeof wanted === "bigint" ? wanted : 0n);
  }
}
