// raft: the consensus core.
// It keeps one log of entries the same on every member of a cluster, as long as a majority of them
// lives, and says which entries are committed.
//
// WHAT IT IS
//
// A synchronous state machine and nothing else: inputs go in (`tick`, `step`, `propose`,
// `readIndex`, ...), a list of work comes out (`ready`). It opens no file, sends no message, reads
// no clock and draws no number but from the injected Rng, so a whole cluster runs in one process
// from one seed, and the same inputs give the same outputs on every machine.
//
// The papers: "In Search of an Understandable Consensus Algorithm" (Ongaro, Ousterhout 2014) for
// the base, by its sections; Ongaro's dissertation (2014) for the rest:
//
//   leader election, log replication, commitment    paper 5.1 - 5.4          node, candidate,
//                                                                            follower, leader
//   pre-vote; votes ignored while a leader is heard dissertation 9.6, 4.2.3  node, candidate
//   check-quorum: a leader nobody hears steps down  dissertation 6.2         leader, tracker
//   leadership transfer                             dissertation 3.10        leader
//   pipelining, flow control                        dissertation 10.2.1      replication, progress
//   membership: single steps, learners, joint       dissertation 4           confchange, quorum
//   snapshots (their position; not their data)      paper 7                  replication, follower
//   linearizable reads by ReadIndex                 dissertation 6.4         read-index, leader
//   disk write beside replication                   dissertation 10.2.1      persistence
//
// Pre-vote and check-quorum are always on: without them a member that was cut off unseats a good
// leader, and a leader that is half cut off stays in office. There are no reads by lease: they
// trust clocks.
//
// RULES OF THE PROTOCOL THAT THE CODE KEEPS, where a reader may look for them
//
//   - At most one vote a term, durable before it is told.                          persistence.ts
//   - A candidate's own vote is durable before it asks for others' (candidate.ts says why).
//   - A leader commits by counting only entries of its own term.                   leader.ts
//   - It answers no read and changes no membership before it has committed one.    leader.ts
//   - One membership change at a time; it rules from the moment it is *applied*.   leader.ts
//   - What is committed is never cut; a late append cuts nothing.                  log.ts
//   - An acknowledgement of a read round counts for that round and earlier ones of
//     the same leadership only; an answer only for the request that it names.      read-index.ts
//   - A snapshot never replaces the state while entries are being applied.         follower.ts
//
// THE READY CONTRACT
//
// The caller's loop, after any input:
//
//   while (core.hasReady(!writeIsOut)) {
//     const ready = core.ready(!writeIsOut);
//     send(ready.sendNow);                  // at once, beside the write
//     if (ready.persist) startWrite(...);   // one at a time
//     apply(ready.committed);               // in order; then core.appliedTo(index)
//     answer(ready.reads);                  // once applied >= index
//     retry(ready.readsDropped);            // under a new context
//   }
//   when the write is durable: core.persisted(); send(persist.thenSend); look again
//
//   1. Durability order is the shape of `Ready`: `persist.thenSend` holds what promises something
//      (votes, acknowledgements, requests for votes). What comes up while a write is out is bound
//      to the next one. A leader's appends are in `sendNow`: they run beside its own write, and its
//      own copy counts only when `persisted` was called.
//   2. One write carries hard state, snapshot and entries together; nothing of it may be taken as
//      durable before all of it is. A write that fails ends the member: there is no other call.
//   3. `committed` holds only what is also durable here, each entry once. After a restart they
//      begin again after `initial.applied`. A Ready is bounded in bytes; more follows at once.
//   4. Every `confChange` entry is reported by `applyConfChange`, in order, before `appliedTo`
//      passes it: the configuration of the core is that of the applied state.
//   5. Messages may be lost, doubled, reordered and late; the core minds none of it.
//   6. A forwarded proposal may get lost without a word, and may have been appended nevertheless:
//      the caller's commands carry an id, and its waits a limit. (Members hold what they are
//      forwarded while leadership changes hands, so a handover as such loses none.)
//   7. Bytes handed in belong to the core and must not change. Arrays handed out are the caller's.
//
// THE LOG AND THE DISK
//
// The entries after the last compaction are in memory; the disk is written and, until the next
// restart, never read. `compactTo` says from where on entries are worth keeping for members that
// lag; one that needs older ones gets a snapshot. The core keeps no snapshot: a `snapshotRequest`
// that it sends carries the applied position of that moment, and the caller replaces that by the
// true position of the view it takes, which must not be earlier. The caller reports the end of
// the transfer (`reportSnapshot`) whatever it was, else that member is sent nothing more.
// At the receiver the message is stepped in when the data is there; `persist.snapshot` then says
// "install it, as a part of this write". If the core has no use for it, its index is at or below
// `status().commit` and nothing comes; while entries are being applied it waits.
//
// A founding member starts from `bootstrapState`, which stands at index 1, so that a member which
// joins later with `joinState` (index 0) always begins with a snapshot and learns the founders
// from it. A member whose disk was lost must join as a new one: what it had promised is forgotten.
//
// WHOSE FAULT
//
// Misuse by the caller is asserted and throws. A peer is never trusted: what breaks the form of a
// message or the rules of a term is counted in `counters()` and ignored. Byzantine members are out
// of scope; one may stall the cluster, not crash it.
//
// LIMITS
//
// Up to a few dozen members (quorums are counted by walking them). Proposals are refused beyond
// `uncommittedBytesMax`; appends to a member beyond `inflightMessagesMax` or `inflightBytesMax`
// wait. Reads waiting here are not bounded but by the caller; those of others are (`config.ts`).
// A member that is removed while it is away is not told by the core.
//
// Read next: ready.ts, message.ts, node.ts, then test/scripts/raft/election.txt.

export { bootstrapState, emptyConf, joinState } from "./config.ts";
export type { RaftConfig, RaftInitialState } from "./config.ts";
export type * from "./message.ts";
export { RaftNode } from "./node.ts";
export type * from "./ready.ts";
