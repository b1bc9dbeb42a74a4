// Commands: everything that changes the replicated state goes through the log as one of these.
// A command's body is the request message of its kind, encoded, so that a client's bytes travel
// unchanged; the envelope (proto/storage.proto, `Command`) adds who waits for the answer.
// Results are typed, not etcd-shaped: each front door encodes them for its own protocol.

import type { ErrorCode, LeaseId, MemberId, Revision } from "../base/index.ts";
import type { RangeResult, StoredKeyValue } from "../mvcc/contract.ts";

export type CommandKind =
  | "put"
  | "deleteRange"
  | "txn"
  | "compaction"
  | "leaseGrant"
  | "leaseRevoke"
  /** Remaining TTLs, proposed by the leader (quoratepb.LeaseCheckpoints). */
  | "leaseCheckpoint"
  /** Leases that ran out, proposed by the leader (quoratepb.LeaseExpiry). */
  | "leaseExpiry"
  | "alarm"
  /** A started member makes its name and client URLs known (quoratepb.MemberAttributes). */
  | "memberAttributes"
  | "authEnable"
  | "authDisable"
  /** A simple token for a user whose password was right (quoratepb.TokenIssue). */
  | "tokenIssue"
  /** With the password's hash, never with the password (quoratepb.UserCreation, PasswordChange). */
  | "userAdd"
  | "userChangePassword"
  | "userDelete"
  | "userGrantRole"
  | "userRevokeRole"
  | "roleAdd"
  | "roleDelete"
  | "roleGrantPermission"
  | "roleRevokePermission";

export interface PutResult {
  readonly kind: "put";
  readonly revision: Revision;
  /** Only when asked for. */
  readonly previous: StoredKeyValue | undefined;
}

export interface DeleteRangeResult {
  readonly kind: "deleteRange";
  readonly revision: Revision;
  readonly deleted: number;
  readonly previous: readonly StoredKeyValue[];
}

export interface RangeOpResult {
  readonly kind: "range";
  readonly revision: Revision;
  readonly range: RangeResult;
}

export interface TxnResult {
  readonly kind: "txn";
  /** 0 in a nested txn: etcd leaves its header empty. */
  readonly revision: Revision | 0;
  readonly succeeded: boolean;
  /** Index-aligned with the operations of the chosen branch. */
  readonly responses: readonly TxnOpResult[];
}

export type TxnOpResult = PutResult | DeleteRangeResult | RangeOpResult | TxnResult;

export interface ErrorResult {
  readonly kind: "error";
  readonly code: ErrorCode;
}

/** An alarm as it is replicated. */
export interface Alarm {
  readonly memberId: MemberId;
  readonly kind: "noSpace" | "corrupt";
}

export type CommandResult =
  | PutResult
  | DeleteRangeResult
  | TxnResult
  | { readonly kind: "compaction"; readonly revision: Revision }
  | {
      readonly kind: "leaseGrant";
      readonly revision: Revision;
      readonly id: LeaseId;
      readonly ttlSeconds: number;
    }
  | { readonly kind: "leaseRevoke"; readonly revision: Revision }
  /** `alarms` is what the command raised (or found raised) or disarmed. */
  | { readonly kind: "alarm"; readonly revision: Revision; readonly alarms: readonly Alarm[] }
  | { readonly kind: "token"; readonly revision: Revision; readonly token: string }
  | { readonly kind: "done"; readonly revision: Revision }
  | ErrorResult;
