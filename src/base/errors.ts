// One table of every error that a client can see: our code -> gRPC status -> etcd's own text.
// Clients look errors up by text (etcd's api/v3rpc/rpctypes), so the text is part of the contract.

/** gRPC status codes (grpc/status). */
export const grpcStatus = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

export type GrpcStatus = (typeof grpcStatus)[keyof typeof grpcStatus];

interface ErrorRow {
  readonly status: GrpcStatus;
  readonly text: string;
}

function row(status: GrpcStatus, text: string): ErrorRow {
  return { status, text: `etcdserver: ${text}` };
}

const s = grpcStatus;

/** Every error a client can see. Texts and codes are etcd's; see docs/compatibility.md. */
export const errorTable = {
  emptyKey: row(s.invalidArgument, "key is not provided"),
  keyNotFound: row(s.invalidArgument, "key not found"),
  valueProvided: row(s.invalidArgument, "value is provided"),
  leaseProvided: row(s.invalidArgument, "lease is provided"),
  tooManyOps: row(s.invalidArgument, "too many operations in txn request"),
  duplicateKey: row(s.invalidArgument, "duplicate key given in txn request"),
  invalidClientApiVersion: row(s.invalidArgument, "invalid client api version"),
  invalidSortOption: row(s.invalidArgument, "invalid sort option"),
  compacted: row(s.outOfRange, "mvcc: required revision has been compacted"),
  futureRevision: row(s.outOfRange, "mvcc: required revision is a future revision"),
  noSpace: row(s.resourceExhausted, "mvcc: database space exceeded"),
  leaseNotFound: row(s.notFound, "requested lease not found"),
  leaseExists: row(s.failedPrecondition, "lease already exists"),
  leaseTtlTooLarge: row(s.outOfRange, "too large lease TTL"),
  memberExists: row(s.failedPrecondition, "member ID already exist"),
  peerUrlExists: row(s.failedPrecondition, "Peer URLs already exists"),
  // etcd declares this FailedPrecondition but sends Unknown.
  memberNotEnoughStarted: row(
    s.unknown,
    "re-configuration failed due to not enough started members",
  ),
  memberBadUrls: row(s.invalidArgument, "given member URLs are invalid"),
  memberNotFound: row(s.notFound, "member not found"),
  memberNotLearner: row(s.failedPrecondition, "can only promote a learner member"),
  learnerNotReady: row(
    s.failedPrecondition,
    "can only promote a learner member which is in sync with leader",
  ),
  tooManyLearners: row(s.failedPrecondition, "too many learner members in cluster"),
  clusterIdMismatch: row(s.failedPrecondition, "cluster ID mismatch"),
  requestTooLarge: row(s.invalidArgument, "request is too large"),
  // etcd declares this ResourceExhausted but sends Unknown.
  tooManyRequests: row(s.unknown, "too many requests"),
  rootUserNotExist: row(s.failedPrecondition, "root user does not exist"),
  rootRoleNotExist: row(s.failedPrecondition, "root user does not have root role"),
  userAlreadyExists: row(s.failedPrecondition, "user name already exists"),
  userEmpty: row(s.invalidArgument, "user name is empty"),
  userNotFound: row(s.failedPrecondition, "user name not found"),
  roleAlreadyExists: row(s.failedPrecondition, "role name already exists"),
  roleNotFound: row(s.failedPrecondition, "role name not found"),
  roleEmpty: row(s.invalidArgument, "role name is empty"),
  authFailed: row(s.invalidArgument, "authentication failed, invalid user ID or password"),
  permissionNotGiven: row(s.invalidArgument, "permission not given"),
  permissionDenied: row(s.permissionDenied, "permission denied"),
  roleNotGranted: row(s.failedPrecondition, "role is not granted to the user"),
  permissionNotGranted: row(s.failedPrecondition, "permission is not granted to the role"),
  authNotEnabled: row(s.failedPrecondition, "authentication is not enabled"),
  invalidAuthToken: row(s.unauthenticated, "invalid auth token"),
  invalidAuthManagement: row(s.invalidArgument, "invalid auth management"),
  authOldRevision: row(s.invalidArgument, "revision of auth store is old"),
  noPasswordUser: {
    status: s.unknown,
    text: "auth: authentication failed, password was given for no password user",
  },
  // Go's bcrypt says this, and etcd passes it on.
  passwordTooLong: { status: s.unknown, text: "bcrypt: password length exceeds 72 bytes" },
  verifyOnly: {
    status: s.unknown,
    text: "auth: token signing attempted with verify-only key",
  },
  noLeader: row(s.unavailable, "no leader"),
  notLeader: row(s.failedPrecondition, "not leader"),
  leaderChanged: row(s.unavailable, "leader changed"),
  notCapable: row(s.failedPrecondition, "not capable"),
  stopped: row(s.unavailable, "server stopped"),
  timeout: row(s.unavailable, "request timed out"),
  timeoutLeaderFailure: row(
    s.unavailable,
    "request timed out, possibly due to previous leader failure",
  ),
  timeoutConnectionLost: row(s.unavailable, "request timed out, possibly due to connection lost"),
  timeoutAppliedIndex: row(
    s.unavailable,
    "request timed out, waiting for the applied index took too long",
  ),
  unhealthy: row(s.unavailable, "unhealthy cluster"),
  corrupt: row(s.dataLoss, "corrupt cluster"),
  learnerRpcNotSupported: row(s.failedPrecondition, "rpc not supported for learner"),
  badLeaderTransferee: row(s.failedPrecondition, "bad leader transferee"),
  leaderTransferTimeout: {
    status: s.unknown,
    text: "etcdserver: request timed out, leader transfer took too long",
  },
  watchCanceled: row(s.cancelled, "watch canceled"),
  requestCanceled: row(s.cancelled, "request canceled"),
  wrongDowngradeVersionFormat: row(s.invalidArgument, "wrong downgrade target version format"),
  invalidDowngradeVersion: row(s.invalidArgument, "invalid downgrade target version"),
  downgradeInProcess: row(s.failedPrecondition, "cluster has a downgrade job in progress"),
  noInflightDowngrade: row(s.failedPrecondition, "no inflight downgrade job"),
  clusterVersionUnavailable: row(
    s.failedPrecondition,
    "cluster version not found during downgrade",
  ),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorTable;

/** An operational failure with a code of the table; thrown at async edges, a value below them. */
export class QuorateError extends Error {
  override name = "QuorateError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, options?: { readonly cause?: unknown }) {
    super(errorTable[code].text, options);
    this.code = code;
  }

  get status(): GrpcStatus {
    return errorTable[this.code].status;
  }
}

/** A disk or data failure that another replica might not see: whoever gets it stops the node. */
export class StorageError extends Error {
  override name = "StorageError";
}

/** Stored bytes that are not what was written: a checksum, a link or a format does not hold. */
export class CorruptionError extends StorageError {
  override name = "CorruptionError";
}

/** Bytes from outside (client, peer, file) that do not parse. */
export class DecodeError extends Error {
  override name = "DecodeError";
}
