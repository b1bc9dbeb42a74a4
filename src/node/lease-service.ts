// Leases need a clock, and only the leader's counts: it alone renews, expires and checkpoints.
// Everything that must outlive it goes through the log. Other members forward to it.
//
// A renewal is acknowledged only after a ReadIndex round has shown that this member still led
// after the request came in: a leader that was paused may have been replaced, and its successor
// may have let the lease expire.

import { QuorateError, noMember } from "../base/index.ts";
import type { Clock, LeaseId, MemberId, Term } from "../base/index.ts";
import type { CommandKind, CommandResult } from "../apply/command.ts";
import type { PeerNetwork } from "../peer/contract.ts";
import { LeaseCheckpoints, LeaseExpiry } from "../wire/index.ts";
import {
  decodeLeaseCall,
  decodeTimeToLive,
  decodeTtl,
  encodeLeaseCall,
  encodeTimeToLive,
  encodeTtl,
  forwardedCall,
} from "./forwarding.ts";
import type { LeaseTimeToLive, StateReader } from "./handle.ts";
import type { LeaseMetrics } from "./lease-metrics.ts";
import type { ReplicatedState } from "./replicated-state.ts";

/** Leases named in one expiry command, and passes under way at once. */
const expiriesPerCommand = 500;
const forwardTimeoutMs = 5_000;
const checkpointsPerCommand = 1_000;
/** Leases whose time left is told to a successor, and how long that may take, milliseconds. */
const handedOverMax = 50_000;
const handOverMs = 500;

export interface LeaseServiceNode {
  state(): ReplicatedState;
  isLeader(): boolean;
  leader(): MemberId;
  term(): Term;
  /** Resolves when this member has shown that it leads, or at least that its state is current. */
  linearize(): Promise<void>;
  read<T>(linearizable: boolean, read: (state: StateReader) => T): T | Promise<T>;
  propose(kind: CommandKind, encoded: Uint8Array): Promise<CommandResult>;
}

export class LeaseService {
  readonly #node: LeaseServiceNode;
  readonly #network: PeerNetwork;
  readonly #clock: Clock;
  readonly #electionTimeoutMs: number;
  readonly #metrics: LeaseMetrics;
  #leadingTerm: Term | undefined;
  /** Whether the lessor was promoted for `leadingTerm`. */
  #measuring = false;
  #promoting = false;
  #expiring = false;
  #checkpointing = false;

  constructor(
    node: LeaseServiceNode,
    network: PeerNetwork,
    clock: Clock,
    electionTimeoutMs: number,
    metrics: LeaseMetrics,
  ) {
    this.#node = node;
    this.#network = network;
    this.#clock = clock;
    this.#electionTimeoutMs = electionTimeoutMs;
    this.#metrics = metrics;
  }

  /** Takes up or lays down the leader's duties; called whenever role or term may have changed. */
  followRole(): void {
    const term = this.#node.isLeader() ? this.#node.term() : undefined;
    if (term === this.#leadingTerm) {
      return;
    }
    this.#leadingTerm = term;
    this.#node.state().lessor.demote();
    this.#measuring = false;
    if (term !== undefined) {
      this.#promote(term);
    }
  }

  /**
   * The lessor begins to measure once everything of earlier terms is applied here, which a
   * ReadIndex round shows: renewals that the leader before acknowledged may stand there.
   */
  #promote(term: Term): void {
    if (this.#promoting) {
      return;
    }
    this.#promoting = true;
    this.#node.linearize().then(
      () => {
        this.#promoting = false;
        if (this.#leadingTerm === term) {
          const nowMs = this.#clock.monotonicMs();
          this.#node.state().lessor.promote(nowMs, this.#electionTimeoutMs);
          this.#measuring = true;
        }
      },
      () => {
        // The next tick tries again.
        this.#promoting = false;
      },
    );
  }

  /** Another state was put in place: duties start anew on it. */
  stateReplaced(): void {
    this.#leadingTerm = undefined;
    this.followRole();
  }

  /** Expires and checkpoints; called some times a second. */
  tick(): void {
    if (this.#leadingTerm === undefined) {
      return;
    }
    if (this.#measuring) {
      this.#expire(this.#leadingTerm);
      this.#checkpoint(this.#leadingTerm);
    } else {
      this.#promote(this.#leadingTerm);
    }
  }

  /** Before leadership is handed over: the successor learns what is left, if that is soon done. */
  async handOver(): Promise<void> {
    const term = this.#leadingTerm;
    if (term === undefined || !this.#measuring) {
      return;
    }
    const ahead = this.#node.state().lessor.checkpointsAhead(this.#clock.monotonicMs());
    const proposals: Promise<unknown>[] = [];
    for (let at = 0; at < Math.min(ahead.length, handedOverMax); at += checkpointsPerCommand) {
      const batch = ahead.slice(at, at + checkpointsPerCommand);
      proposals.push(this.#node.propose("leaseCheckpoint", encodeCheckpoints(term, batch)));
    }
    const late = new Promise<void>((resolve) => {
      this.#clock.after(handOverMs, resolve);
    });
    await Promise.race([Promise.allSettled(proposals), late]);
  }

  /** Seconds granted anew, 0 when there is no such lease. */
  async keepAlive(id: LeaseId): Promise<number> {
    const leader = this.#knownLeader();
    if (this.#node.isLeader()) {
      return this.#renew(id);
    }
    const body = encodeLeaseCall(id, false);
    return decodeTtl(await this.#forward(leader, forwardedCall.leaseKeepAlive, body));
  }

  async timeToLive(id: LeaseId, wantKeys: boolean): Promise<LeaseTimeToLive> {
    const leader = this.#knownLeader();
    if (this.#node.isLeader()) {
      return this.#remaining(id, wantKeys);
    }
    const body = encodeLeaseCall(id, wantKeys);
    return decodeTimeToLive(await this.#forward(leader, forwardedCall.leaseTimeToLive, body));
  }

  /** Answers a call forwarded by another member. */
  async answer(kind: number, body: Uint8Array): Promise<Uint8Array> {
    if (!this.#node.isLeader()) {
      throw new QuorateError("notLeader");
    }
    const { id, wantKeys } = decodeLeaseCall(body);
    if (kind === forwardedCall.leaseKeepAlive) {
      return encodeTtl(await this.#renew(id));
    }
    return encodeTimeToLive(await this.#remaining(id, wantKeys));
  }

  async #renew(id: LeaseId): Promise<number> {
    await this.#node.linearize();
    if (!this.#node.isLeader()) {
      throw new QuorateError("leaderChanged");
    }
    const outcome = this.#node.state().lessor.renew(id, this.#clock.monotonicMs());
    if (outcome.kind === "notLeader") {
      throw new QuorateError("leaderChanged");
    }
    if (outcome.kind === "notFound") {
      return 0;
    }
    if (outcome.kind === "needsCheckpoint") {
      // A successor would start from the checkpointed remainder, which this renewal outdates.
      await this.#node.propose(
        "leaseCheckpoint",
        encodeCheckpoints(this.#node.term(), [{ id, remainingTtlSeconds: 0 }]),
      );
      const again = this.#node.state().lessor.renew(id, this.#clock.monotonicMs());
      if (again.kind === "notFound") {
        return 0;
      }
      if (again.kind !== "renewed") {
        throw new QuorateError("leaderChanged");
      }
      this.#metrics.renewed.inc();
      return again.ttlSeconds;
    }
    this.#metrics.renewed.inc();
    return outcome.ttlSeconds;
  }

  #remaining(id: LeaseId, wantKeys: boolean): LeaseTimeToLive | Promise<LeaseTimeToLive> {
    return this.#node.read(true, (reader) => {
      const { lessor } = this.#node.state();
      const lease = lessor.get(id);
      if (lease === undefined) {
        return { ttlSeconds: -1, grantedTtlSeconds: 0, keys: [] };
      }
      if (!this.#measuring) {
        throw new QuorateError("leaderChanged");
      }
      return {
        ttlSeconds: Math.max(
          0,
          Math.floor(lessor.remainingMs(id, this.#clock.monotonicMs()) / 1000),
        ),
        grantedTtlSeconds: lease.grantedTtlSeconds,
        keys: wantKeys ? reader.store.leaseKeys(id) : [],
      };
    });
  }

  #expire(term: Term): void {
    if (this.#expiring) {
      return;
    }
    const ids = this.#node.state().lessor.expired(this.#clock.monotonicMs(), expiriesPerCommand);
    if (ids.length === 0) {
      return;
    }
    this.#expiring = true;
    const ended = (): void => {
      this.#expiring = false;
    };
    this.#metrics.expired.inc(ids.length);
    // A revoke that is lost is tried again by a later pass, here or on the next leader. The term
    // lets members skip one that a deposed leader sent.
    this.#node.propose("leaseExpiry", LeaseExpiry.encode({ term, ids })).then(ended, ended);
  }

  #checkpoint(term: Term): void {
    if (this.#checkpointing) {
      return;
    }
    const due = this.#node.state().lessor.checkpointsDue(this.#clock.monotonicMs());
    if (due.length === 0) {
      return;
    }
    this.#checkpointing = true;
    const ended = (): void => {
      this.#checkpointing = false;
    };
    this.#node.propose("leaseCheckpoint", encodeCheckpoints(term, due)).then(ended, ended);
  }

  #knownLeader(): MemberId {
    const leader = this.#node.leader();
    if (leader === noMember) {
      throw new QuorateError("noLeader");
    }
    return leader;
  }

  async #forward(leader: MemberId, kind: number, body: Uint8Array): Promise<Uint8Array> {
    try {
      return await this.#network.request(leader, kind, body, forwardTimeoutMs);
    } catch (error) {
      throw new QuorateError("timeoutConnectionLost", { cause: error });
    }
  }
}

function encodeCheckpoints(
  term: Term,
  checkpoints: readonly { readonly id: LeaseId; readonly remainingTtlSeconds: number }[],
): Uint8Array {
  return LeaseCheckpoints.encode({
    term,
    checkpoints: checkpoints.map((checkpoint) => ({
      id: checkpoint.id,
      remainingTtl: checkpoint.remainingTtlSeconds,
    })),
  });
}
