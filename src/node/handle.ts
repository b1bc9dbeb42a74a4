// NodeHandle: what the front doors (api, http, embedders, the simulator's clients) may do with a
// node. It hides raft, the log and the disk. Operations fail with QuorateError.

import type {
  Caller,
  ClusterId,
  ErrorCode,
  LeaseId,
  LogIndex,
  MemberId,
  Revision,
  Term,
} from "../base/index.ts";
import type { CommandKind, CommandResult, TxnResult } from "../apply/command.ts";
import type { AuthReader } from "../auth/index.ts";
import type { StoreReader } from "../mvcc/contract.ts";
import type { WatchStream, WatchStreamSink } from "../mvcc/watch-contract.ts";

export type {
  Commit,
  KeyMeta,
  KeyRange,
  RangeQuery,
  RangeResult,
  SortTarget,
  StoredEvent,
  StoredKeyValue,
  StoreReader,
} from "../mvcc/contract.ts";
export type * from "../mvcc/watch-contract.ts";
export type { AuthReader } from "../auth/index.ts";
export type { CommandKind, CommandResult, TxnOpResult, TxnResult } from "../apply/command.ts";

export interface Member {
  readonly id: MemberId;
  /** Empty until the member has started once and published itself. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
}

export interface Alarm {
  readonly memberId: MemberId;
  readonly kind: "noSpace" | "corrupt";
}

export interface NodeStatus {
  readonly clusterId: ClusterId;
  readonly memberId: MemberId;
  readonly name: string;
  /** 0n when none is known. */
  readonly leader: MemberId;
  readonly isLeader: boolean;
  readonly isLearner: boolean;
  readonly term: Term;
  readonly commit: LogIndex;
  readonly applied: LogIndex;
  readonly revision: Revision;
  readonly compactedRevision: Revision;
  readonly sizeBytes: number;
  readonly sizeInUseBytes: number;
  readonly quotaBytes: number;
}

/** The applied state, for reading inside `NodeHandle.read`. */
export interface StateReader {
  readonly store: StoreReader;
  /**
   * Evaluates an encoded TxnRequest whose operations are all ranges, by the rules that apply
   * follows: whether `caller` may, comparisons, then the ranges of the chosen branch.
   */
  readTxn(encoded: Uint8Array, caller?: Caller): TxnResult | ErrorResult;
  /**
   * For permissions at the moment of reading. Whoever reads keys for a client asks it first:
   * nothing else in a reader knows who asks.
   */
  readonly auth: AuthReader;
  /** Whether the caller may write every key of a lease; undefined for yes. */
  checkLease(caller: Caller | undefined, id: LeaseId): ErrorCode | undefined;
  /** Granted leases, by the time that is left of them. */
  leaseIds(): LeaseId[];
  leaseExists(id: LeaseId): boolean;
  members(): readonly Member[];
  alarms(): readonly Alarm[];
}

export interface LeaseTimeToLive {
  /** Whole seconds left, floored; -1 when there is no such lease. */
  readonly ttlSeconds: number;
  readonly grantedTtlSeconds: number;
  readonly keys: readonly Uint8Array[];
}

export interface HashResult {
  readonly hash: number;
  readonly compactedRevision: Revision;
  readonly hashRevision: Revision;
}

export interface Backup {
  readonly sizeBytes: number;
  read(position: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

export interface NodeHandle {
  /** Users, roles and permissions as applied here now; cheap. */
  readonly auth: AuthReader;
  /** Whose a simple token is, which lives on as it is used; undefined for none that is known. */
  userOfToken(token: string): string | undefined;
  /** Cheap: asked once or twice for every request. */
  status(): NodeStatus;
  /**
   * Replicates a command and resolves with what applying it gave, once it is durable on a quorum
   * and applied here. `encoded` is the request message of that kind, already validated.
   * A deterministic failure comes back as `{ kind: "error", code }`. While authentication is on
   * `caller` must be permitted: a client's, or `system` for what the cluster does by itself.
   */
  propose(kind: CommandKind, encoded: Uint8Array, caller?: Caller): Promise<CommandResult>;
  /**
   * Runs `read` on the applied state: at once when serializable and in memory, else after a
   * ReadIndex round and the loading of what it misses (so `read` may run several times; it must
   * not keep state). Errors that `read` throws reject.
   */
  read<T>(linearizable: boolean, read: (state: StateReader) => T): T | Promise<T>;
  openWatchStream(sink: WatchStreamSink): WatchStream;
  /** Renews on the leader, wherever it is; resolves with the TTL, seconds, 0 for no such lease. */
  leaseKeepAlive(id: LeaseId): Promise<number>;
  leaseTimeToLive(id: LeaseId, wantKeys: boolean): Promise<LeaseTimeToLive>;
  /** Hash of the pairs up to `revision` (0 = current), equal on all members (etcd's HashKV). */
  hashKv(revision: Revision | 0): Promise<HashResult>;
  /** CRC-32C of everything stored; only for tests, as in etcd. */
  hash(): Promise<number>;
  /** Waits until compaction up to the compacted revision has freed its space on this member. */
  compactionDone(): Promise<void>;
  /**
   * The state applied here now as an etcd backend file of `storageVersion`, without its hash; to be
   * closed. It is made before this resolves, while everything goes on.
   */
  backup(storageVersion: string): Promise<Backup>;
  /** Begins to give this member's disk the space back that nothing uses; never blocks. */
  reclaimSpace(): void;
  /** Hands leadership to `to`; resolves when it has happened. */
  moveLeader(to: MemberId): Promise<void>;
  /** Adds a member by its peer URLs; resolves with it once the change is applied. */
  memberAdd(peerUrls: readonly string[], isLearner: boolean): Promise<Member>;
  memberRemove(id: MemberId): Promise<void>;
  memberUpdate(id: MemberId, peerUrls: readonly string[]): Promise<void>;
  memberPromote(id: MemberId): Promise<void>;
}

/** A failure that applying a command gave, as an answer. */
export interface ErrorResult {
  readonly kind: "error";
  readonly code: ErrorCode;
}
