// What to try when the server refuses, or does not answer.

import { type ErrorCode, type GrpcStatus, grpcStatus } from "../../base/index.ts";
import type { ClientError } from "../../client/index.ts";

const ofCode: Partial<Record<ErrorCode, string>> = {
  compacted: "older history is gone; leave --rev out to read what is there now",
  futureRevision: "get KEY -w fields prints the newest revision",
  noSpace:
    "make room (del, compaction), see alarm list and endpoint status, then alarm disarm; or raise " +
    "--quota-backend-bytes of the members",
  leaseNotFound: "lease list prints the leases that live",
  memberNotFound: "member list prints the members and their ids",
  memberNotLearner: "member list prints who is a learner",
  learnerNotReady: "try again when the learner has caught up; endpoint status shows how far it is",
  memberNotEnoughStarted: "start the members that member list shows as unstarted, or remove them",
  unhealthy: "endpoint health --cluster shows which members do not answer",
  requestTooLarge: "--max-request-bytes of the members is the limit",
  tooManyOps: "--max-txn-ops of the members is the limit",
  rootUserNotExist: "user add root, then user grant-role root root",
  rootRoleNotExist: "user grant-role root root",
  userEmpty: "authentication is on: give --user=NAME:PASSWORD",
  userNotFound: "user list prints the users",
  roleNotFound: "role list prints the roles",
  authFailed: "check --user and --password; user passwd changes a password",
  permissionDenied: "user get NAME --detail prints what a user may do",
  authNotEnabled: "auth enable switches authentication on",
  invalidAuthToken: "give --user=NAME:PASSWORD again",
  noLeader: "endpoint status --cluster shows who is leader; a majority must be up to elect one",
  notLeader: "endpoint status --cluster shows who is leader",
  badLeaderTransferee: "member list prints the ids; learners cannot lead",
  corrupt: "endpoint hashkv --cluster shows which member differs from the others",
};

const ofStatus: Partial<Record<GrpcStatus, string>> = {
  [grpcStatus.unavailable]: "endpoint health --cluster shows which members answer",
  [grpcStatus.unimplemented]:
    "this server does not know the call; endpoint status prints its version",
};

/** A line that says what to try; undefined where there is nothing better than the error. */
export function hintOf({ code, status }: ClientError): string | undefined {
  return (code === undefined ? undefined : ofCode[code]) ?? ofStatus[status];
}
