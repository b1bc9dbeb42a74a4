// The replicated state in parts, as one: opened from the engine, written back to it, read by the
// front doors. What belongs to a part is the part's business; here stands only how they go
// together, and the applied index that a consistent point stands for.

import { CorruptionError, readU64, toLogIndex, toTerm, writeU64 } from "../base/index.ts";
import type { ConfState, LogIndex, Rng, SnapshotMeta, Term } from "../base/index.ts";
import { Alarms, alarmsKey, Applier, KeyChecks, readTxn } from "../apply/index.ts";
import type { ReplicatedParts } from "../apply/index.ts";
import { authKey, AuthStore, roleRange, userRange } from "../auth/index.ts";
import { Lessor, leaseRange } from "../lease/index.ts";
import { decodeMembership, membershipKey } from "../membership/index.ts";
import type { Membership } from "../membership/index.ts";
import { WatchHub } from "../mvcc/index.ts";
import type { StoreConfig } from "../mvcc/index.ts";
import type { BatchOperation, Engine } from "../storage/engine.ts";
import { engineMemoryBytes } from "../storage/index.ts";
import type { StateReader } from "./handle.ts";
import { logMemoryBytes } from "./log-cut.ts";
import { openStore } from "./open-store.ts";

/** The record of the applied index and term, 8 bytes each; in every batch. */
const appliedKey: Uint8Array = Uint8Array.of(0x69);

export interface ReplicatedState extends ReplicatedParts {
  readonly applier: Applier;
  readonly hub: WatchHub;
}

export interface OpenedState {
  readonly state: ReplicatedState;
  readonly engine: Engine;
  readonly applied: { readonly index: LogIndex; readonly term: Term };
  /** The configuration in force at the applied index. */
  readonly conf: ConfState;
}

/** What the engine of a founding member begins with, written before its log exists. */
export function foundingRecords(membership: Membership, at: SnapshotMeta): BatchOperation[] {
  return [...membership.collectDirty(), appliedRecord(at.index, at.term)];
}

export interface StateOptions {
  readonly memoryBudgetBytes: number;
  readonly progressNotifyIntervalMs: number;
  readonly rng: Rng;
  /** Sizes of the store's records, where they are not to be the usual ones. */
  readonly store?: Partial<StoreConfig> | undefined;
}

/** Opens the state that `engine` holds, up to its applied index. */
export async function openState(engine: Engine, options: StateOptions): Promise<OpenedState> {
  const [applied, members, alarmRecord, authRecord] = await engine.getMany([
    appliedKey,
    membershipKey,
    alarmsKey,
    authKey,
  ]);
  if (applied === undefined || members === undefined || applied.length !== 16) {
    throw new CorruptionError("the state has no record of what was applied to it");
  }
  const membership = decodeMembership(members);
  const lessor = new Lessor();
  for await (const rows of engine.scan({ ...leaseRange })) {
    lessor.load(rows);
  }
  const alarms = new Alarms();
  if (alarmRecord !== undefined) {
    alarms.load(alarmRecord);
  }
  const auth = await openAuth(engine, authRecord);
  const store = await openStore(engine, {
    ...options.store,
    memoryBudgetBytes: storeShare(options.memoryBudgetBytes),
  });
  const parts = { store, lessor, membership, alarms, auth };
  const hub = new WatchHub(store, {
    rng: options.rng,
    progressIntervalMs: options.progressNotifyIntervalMs,
  });
  return {
    state: { ...parts, applier: new Applier(parts), hub },
    engine,
    applied: decodeApplied(applied),
    conf: membership.confState,
  };
}

/** What engine and log take is part of the budget; the store has the rest, half of it at least. */
function storeShare(memoryBudgetBytes: number): number {
  return Math.max(memoryBudgetBytes >> 1, memoryBudgetBytes - engineMemoryBytes - logMemoryBytes);
}

function decodeApplied(record: Uint8Array): OpenedState["applied"] {
  try {
    return { index: toLogIndex(readU64(record, 0)), term: toTerm(readU64(record, 8)) };
  } catch (error) {
    throw new CorruptionError("the record of what was applied does not parse", { cause: error });
  }
}

async function openAuth(engine: Engine, record: Uint8Array | undefined): Promise<AuthStore> {
  const auth = new AuthStore();
  auth.load(record);
  for await (const rows of engine.scan({ ...roleRange })) {
    auth.loadRoles(rows);
  }
  for await (const rows of engine.scan({ ...userRange })) {
    auth.loadUsers(rows);
  }
  return auth;
}

/** One consistent point: everything that changed since the last one, and where it stands. */
export function takeCheckpoint(
  state: ReplicatedState,
  index: LogIndex,
  term: Term,
): { readonly operations: readonly BatchOperation[]; readonly meta: SnapshotMeta } {
  const operations = [
    ...state.store.checkpoint().operations,
    ...state.lessor.collectDirty(),
    ...state.membership.collectDirty(),
    ...state.alarms.collectDirty(),
    ...state.auth.collectDirty(),
    appliedRecord(index, term),
  ];
  return { operations, meta: { index, term, conf: state.membership.confState } };
}

/** What front doors may read of the state; `nowMs` gives monotonic milliseconds. */
export function stateReader(state: ReplicatedState, nowMs: () => number): StateReader {
  return {
    store: state.store,
    leaseIds: () => state.lessor.idsByTimeLeft(nowMs()),
    leaseExists: (id) => state.lessor.has(id),
    members: () => state.membership.members(),
    alarms: () => state.alarms.list(),
    auth: state.auth,
    checkLease: (caller, id) => new KeyChecks(state.auth, state.store, caller).lease(id),
    readTxn: (request, caller) =>
      readTxn(
        state.store,
        request,
        state.auth.enabled ? new KeyChecks(state.auth, state.store, caller) : undefined,
      ),
  };
}

function appliedRecord(index: LogIndex, term: Term): BatchOperation {
  const value = new Uint8Array(16);
  writeU64(value, 0, index);
  writeU64(value, 8, term);
  return { kind: "put", key: appliedKey, value };
}
