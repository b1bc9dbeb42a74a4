// sdk: the store as a program uses it; what `import { Quorate } from "quorate"` gives.
//
//   await using store = new Quorate({ endpoints: ["127.0.0.1:2379"] });
//   await store.put("a", "1");
//   const entry = await store.get("a");                    // { key, value, modRevision, ... }
//   await store.update("a", "2", entry.modRevision);       // RevisionMismatchError if it changed
//   await store.create("b", "1");                          // KeyExistsError if it is there
//
//   const users = store.namespace("users/").withCodec(z.object({ name: z.string() }));
//   for await (const { key, value } of users.range({ prefix: "" })) { ... }
//   const { entries, revision } = await users.range({ prefix: "" }).list();
//
//   const done = await store.txn()
//     .if(store.when("a").value("=", "2"), users.when("u1").absent())
//     .do(users.op.put("u1", { name: "Ada" }), store.op.get("b"))
//     .else(store.op.get("a"))
//     .commit();
//   if (done.succeeded) done.results[1]?.value             // typed, each result in its place
//
//   await store.stm(async (view) => {
//     const count = Number((await view.get("n"))?.value ?? "0");
//     await view.put("n", String(count + 1));
//   });
//
//   await using lease = await store.lease({ ttlSeconds: 10 });
//   await store.put("me", "here", { lease });
//   lease.signal.addEventListener("abort", () => ...);     // or lease.lost, lease.alive
//
//   await using watch = store.watch({ prefix: "jobs/" }, { initial: true, resync: true });
//   for await (const event of watch) switch (event.kind) { case "put": ... case "resync": ... }
//
// Rules:
// - What client/ promises holds here: time limits, repeats only where safe, watches without gaps.
//   A write whose answer was lost fails with an error that is `uncertain`; nobody writes it again.
// - A range is read at one revision, a batch of a watch has whole revisions.
// - A key is text inside its namespace; leases belong to the whole store.
// - Whatever nobody waits for does not reject: `lease.lost` resolves, a watch that nobody reads
//   keeps its error until someone does.
// - Every wait takes a signal. An aborted call rejects with an error named "AbortError"; an aborted
//   watch ends.
//
// Files: quorate.ts (the class), keys.ts and codecs.ts (names and values), range.ts, operations.ts
// and transaction.ts, memory.ts (`stm`), watch.ts, lease.ts, errors.ts. Recipes (locks, elections,
// discovery, ...) are built on this door in recipes/.
//
// Limits: keys that are not UTF-8 cannot be named here, use `store.client`. A resync event holds
// all entries of its range in memory. A transaction takes as many operations as the servers do
// (128).

export {
  type Awaitable,
  bytes,
  type Codec,
  codecOf,
  json,
  schema,
  text,
} from "./codecs.ts";
export type { Entry } from "./entry.ts";
export * from "./errors.ts";
export type { KeyRange } from "./keys.ts";
export type { Lease, LeaseOptions } from "./lease.ts";
export type { MemoryOptions, MemoryResult, MemoryView } from "./memory.ts";
export type {
  Comparison,
  Condition,
  DeleteOptions,
  DeleteResult,
  ListOptions,
  ListResult,
  Operation,
  Operations,
  PutOptions,
  PutResult,
  When,
} from "./operations.ts";
export { Quorate, type QuorateOptions, type UpdateOptions } from "./quorate.ts";
export type { EntryRange, Listing, RangeOptions, ReadOptions } from "./range.ts";
export type { LeaseLike } from "./scope.ts";
export { pathText } from "./standard-schema.ts";
export type {
  SchemaInput,
  SchemaOutput,
  StandardIssue,
  StandardResult,
  StandardSchema,
} from "./standard-schema.ts";
export type { ResultsOf, Transaction, TransactionResult } from "./transaction.ts";
export type {
  Batch,
  DeleteEvent,
  EventOf,
  ProgressEvent,
  PutEvent,
  ResyncEvent,
  Watch,
  WatchOptions,
} from "./watch.ts";
