// What each command does to the state, once it may.

import { emptyBytes, toLeaseId, toMemberId, toRevision } from "../base/index.ts";
import type { LeaseId, LogIndex, Term } from "../base/index.ts";
import type { AuthStore } from "../auth/index.ts";
import type { Lessor } from "../lease/index.ts";
import type { Membership } from "../membership/index.ts";
import type { Commit, Store } from "../mvcc/contract.ts";
import {
  AlarmRequest,
  CompactionRequest,
  DeleteRangeRequest,
  LeaseCheckpoints,
  LeaseExpiry,
  LeaseGrantRequest,
  LeaseRevokeRequest,
  MemberAttributes,
  PutRequest,
  TxnRequest,
} from "../wire/index.ts";
import type { DecodedCommand } from "../wire/index.ts";
import type { Alarms } from "./alarms.ts";
import { executeAuth } from "./auth-commands.ts";
import type { CommandResult, DeleteRangeResult } from "./command.ts";
import { executePut, executeTxn } from "./txn.ts";

/** The replicated state, in parts. */
export interface ReplicatedParts {
  readonly store: Store;
  readonly lessor: Lessor;
  readonly membership: Membership;
  readonly alarms: Alarms;
  readonly auth: AuthStore;
}

/** Where in the log a command stands. */
export interface Position {
  readonly index: LogIndex;
  readonly term: Term;
}

/**
 * Executes one command, or refuses it; policies wrap one another. What it writes is added to
 * `commits`. May throw MissingRecords, and then the command must be executed again.
 */
export interface Executor {
  execute(command: DecodedCommand, position: Position, commits: Commit[]): CommandResult;
}

export class StateExecutor implements Executor {
  readonly #parts: ReplicatedParts;

  constructor(parts: ReplicatedParts) {
    this.#parts = parts;
  }

  execute(command: DecodedCommand, position: Position, commits: Commit[]): CommandResult {
    const { store, lessor, alarms } = this.#parts;
    const { kind, body } = command;
    switch (kind) {
      case "put":
        return executePut(store, lessor, PutRequest.decode(body), commits);
      case "deleteRange":
        return this.#deleteRange(DeleteRangeRequest.decode(body), commits);
      case "txn":
        return executeTxn(store, lessor, TxnRequest.decode(body), commits);
      case "compaction":
        return this.#compact(CompactionRequest.decode(body).revision);
      case "leaseGrant":
        return this.#grant(LeaseGrantRequest.decode(body));
      case "leaseRevoke":
        return this.#revoke(toLeaseId(LeaseRevokeRequest.decode(body).id), commits);
      case "leaseCheckpoint":
        return this.#checkpoint(LeaseCheckpoints.decode(body), position.term);
      case "leaseExpiry":
        return this.#expire(LeaseExpiry.decode(body), position.term, commits);
      case "alarm": {
        const changed = alarms.change(AlarmRequest.decode(body));
        return { kind: "alarm", revision: store.revision, alarms: changed };
      }
      case "memberAttributes":
        return this.#attributes(MemberAttributes.decode(body));
      default:
        return executeAuth(this.#parts.auth, kind, body, position, store.revision);
    }
  }

  #deleteRange(request: DeleteRangeRequest, commits: Commit[]): DeleteRangeResult {
    const { store } = this.#parts;
    const { key, rangeEnd, prevKv } = request;
    const { value, commit } = store.transact((transaction) =>
      transaction.deleteRange({ key, rangeEnd }, prevKv),
    );
    if (commit !== undefined) {
      commits.push(commit);
    }
    return { kind: "deleteRange", revision: store.revision, ...value };
  }

  #compact(revision: number): CommandResult {
    const { store } = this.#parts;
    // etcd takes a compaction at 0 as the first one, although there is nothing before it.
    const nothing = revision === 0 && store.compactedRevision === 0;
    if (revision <= store.compactedRevision && !nothing) {
      return { kind: "error", code: "compacted" };
    }
    if (revision > store.revision) {
      return { kind: "error", code: "futureRevision" };
    }
    if (!nothing) {
      store.compact(toRevision(revision));
    }
    return { kind: "compaction", revision: store.revision };
  }

  #grant(request: LeaseGrantRequest): CommandResult {
    const id = toLeaseId(request.id);
    const outcome = this.#parts.lessor.grant(id, request.ttl);
    if (outcome.kind === "refused") {
      return { kind: "error", code: outcome.code };
    }
    const { revision } = this.#parts.store;
    return { kind: "leaseGrant", revision, id, ttlSeconds: outcome.ttlSeconds };
  }

  #revoke(id: LeaseId, commits: Commit[]): CommandResult {
    const { store, lessor } = this.#parts;
    if (!lessor.has(id)) {
      return { kind: "error", code: "leaseNotFound" };
    }
    this.#deleteLease(id, commits);
    return { kind: "leaseRevoke", revision: store.revision };
  }

  /** All keys of the lease go in one revision, in key order; then the lease. */
  #deleteLease(id: LeaseId, commits: Commit[]): void {
    const { store, lessor } = this.#parts;
    const keys = store.leaseKeys(id);
    if (keys.length > 0) {
      const { commit } = store.transact((transaction) => {
        for (const key of keys) {
          transaction.deleteRange({ key, rangeEnd: emptyBytes }, false);
        }
      });
      if (commit !== undefined) {
        commits.push(commit);
      }
    }
    lessor.revoke(id);
  }

  /**
   * Void in another term than that of the leader who saw the leases expire: its successor may
   * have renewed them. A lease that is gone was revoked in the meantime, or by an execution of
   * this very command that was broken off for records to be loaded.
   */
  #expire({ term, ids }: LeaseExpiry, entryTerm: Term, commits: Commit[]): CommandResult {
    const { store, lessor } = this.#parts;
    if (term === entryTerm) {
      for (const wireId of ids) {
        const id = toLeaseId(wireId);
        if (lessor.has(id)) {
          this.#deleteLease(id, commits);
        }
      }
    }
    return { kind: "done", revision: store.revision };
  }

  #checkpoint({ term, checkpoints }: LeaseCheckpoints, entryTerm: Term): CommandResult {
    if (term === entryTerm) {
      for (const { id, remainingTtl } of checkpoints) {
        this.#parts.lessor.checkpoint(toLeaseId(id), remainingTtl);
      }
    }
    return { kind: "done", revision: this.#parts.store.revision };
  }

  #attributes({ memberId, name, clientUrls }: MemberAttributes): CommandResult {
    const { membership, store } = this.#parts;
    return membership.setAttributes(toMemberId(memberId), name, clientUrls)
      ? { kind: "done", revision: store.revision }
      : { kind: "error", code: "memberNotFound" };
  }
}
