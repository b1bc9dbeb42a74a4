// Every bound in one place, with its unit last. Flags override the ones that operators may set.

/** Largest client request, bytes (etcd --max-request-bytes). */
export const requestSizeBytesDefault = 1.5 * 1024 * 1024;
/** Envelope allowed on top of a request, bytes (etcd's grpcOverheadBytes). */
export const requestOverheadBytes = 512 * 1024;
/** Operations in one branch of a txn (etcd --max-txn-ops). */
export const txnOpsDefault = 128;
/** Nesting of txns. */
export const txnDepthMax = 8;
/** Longest lease, seconds (etcd MaxLeaseTTL). */
export const leaseTtlSecondsMax = 9_000_000_000;
/**
 * Committed but not applied entries beyond which proposals are refused (etcd's
 * maxGapBetweenApplyAndCommitIndex).
 */
export const applyBacklogEntriesMax = 5_000;
/** Memory for caches, bytes (--memory-budget). */
export const memoryBudgetBytesDefault = 256 * 1024 * 1024;
/** Entries of the log kept in memory behind the applied index for followers that catch up. */
export const catchUpEntriesDefault = 5_000;
/** The same by size: whichever bound is met first. */
export const catchUpBytesMax = 64 * 1024 * 1024;
