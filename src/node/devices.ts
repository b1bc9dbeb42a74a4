// What a node is given from outside: time, randomness, a disk and a network. The real ones are
// made in start-node.ts; the simulator brings virtual ones and runs the same node on them.

import type { Clock, ClusterId, Logger, MemberId, Rng } from "../base/index.ts";
import type { StoreConfig } from "../mvcc/index.ts";
import type { PeerNetwork } from "../peer/contract.ts";
import type { CorruptionCheckConfig } from "./corruption-check.ts";
import type { DataDirectory } from "../storage/index.ts";

/** An opened data directory, as storage gives it or the simulator models it. */
export type NodeDisk = DataDirectory;

export interface NodeDevices {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly logger: Logger;
  readonly disk: NodeDisk;
  readonly network: PeerNetwork;
}

/** Settings of a node that are not devices. Times are milliseconds, sizes bytes. */
export interface NodeConfig {
  readonly name: string;
  readonly clusterId: ClusterId;
  readonly memberId: MemberId;
  readonly clientUrls: readonly string[];
  readonly heartbeatIntervalMs: number;
  readonly electionTimeoutMs: number;
  /** Whether a start may shorten the wait for a leader (--initial-election-tick-advance). */
  readonly electionTickAdvance: boolean;
  /** Entries applied between two points at which the log is cut. */
  readonly snapshotCount: number;
  readonly catchUpEntries: number;
  readonly requestSizeBytesMax: number;
  readonly quotaBytes: number;
  readonly memoryBudgetBytes: number;
  /** Sizes of the store's records, where they are not to be the usual ones. */
  readonly store?: Partial<StoreConfig> | undefined;
  /** Bounds the entries of one message between members; the core's default when not given. */
  readonly messageSizeBytesMax?: number | undefined;
  /** How long a simple token lives unused, milliseconds; 300,000 when not given. */
  readonly authTokenTtlMs?: number | undefined;
  readonly progressNotifyIntervalMs: number;
  /** Learners that the cluster may have at once. */
  readonly learnersMax: number;
  /** Whether changes that would endanger the quorum are refused. */
  readonly strictReconfiguration: boolean;
  /** Whether and when the members' stores are compared; never when not given. */
  readonly corruptionCheck?: CorruptionCheckConfig | undefined;
  /** Whether learners that have caught up are made voters; not when not given. */
  readonly promoteLearners?: boolean | undefined;
  /** A command that takes longer than this to apply is logged; 100 ms when not given. */
  readonly slowApplyMs?: number | undefined;
  /** Whether everything on the disk is read over and over, to find rot; not when not given. */
  readonly scrub?: boolean | undefined;
}
