// membership: who belongs to the cluster.
//
// It changes only by committed log entries: membership changes (quoratepb.ConfChange), which the
// raft core follows at the same entry, and the attributes that a started member publishes. The
// voting configuration itself is the core's; it is kept here beside the members so that both are
// in one record and cannot disagree after a restart.
//
// Rules: an id that was removed never comes back. A promotion is ADD_VOTER without URLs for a
// learner. `check` is asked by the proposer against the applied state; as the core lets only one
// change be pending, a checked change still fits when it is applied.
//
// Ids are derived in node/ (they need SHA-1).

export { decodeMembership, Membership, membershipKey } from "./membership.ts";
export type { Member, MembershipState } from "./membership.ts";
