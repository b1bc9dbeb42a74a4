// auth: users, roles, what they may do, and who asked.
//
// Users and roles change by commands only, and whether a write is permitted is decided where it is
// applied (apply/auth-gate.ts), from the user and auth revision that its front door put into the
// envelope: a grant or a revocation stands before or after it in the log, the same on every
// member. Reads are decided where they are evaluated. What a front door finds out on its own is
// only who asks: a simple token (simple-tokens.ts), a signed one, a client certificate.
//
// The auth revision rises with each change, and a caller known at an older one is refused on keys
// ("revision of auth store is old"): a check that was right then may be wrong now.
//
// Rules:
// - A request's keys must be covered by the union of what the user's roles grant (intervals.ts).
//   "" is one key, "\0" is no end, and nothing else decides which.
// - Default deny: a caller that is nobody, a user that is gone, a role that is gone, a permission
//   of an unknown kind give nothing.
// - Password hashes leave this folder for comparison only; nothing prints them.
//
// Limits: a put with a lease looks at every key of the lease. A watch is checked when it is made.
// A member that restarts, or is refilled by a snapshot, has forgotten its simple tokens; clients
// log in again.

export { authKey, roleRange, userRange } from "./auth-records.ts";
export type { Role, User } from "./auth-records.ts";
export { AuthStore } from "./auth-store.ts";
export type { AuthReader, Refusal } from "./auth-store.ts";
export { rootRole, rootUser } from "./permissions.ts";
