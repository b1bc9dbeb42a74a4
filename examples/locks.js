// A lock: one worker at a time, and a write that is refused when the lock has passed on.
// node examples/locks.js [endpoint ...]

import { acquireLock, Quorate, tryLock, withLock } from "quorate";

const given = process.argv.slice(2);
const store = new Quorate({ endpoints: given.length > 0 ? given : ["127.0.0.1:2379"] });

await Promise.all(
  ["ann", "bob"].map((worker) =>
    withLock(store, "jobs/report", async (lock) => {
      // Tied to the lock: done only while this worker holds it, whatever its clock says.
      const done = await store
        .txn()
        .if(lock.condition())
        .do(store.op.put(`report/${worker}`, `written under token ${lock.token}`))
        .commit();
      console.log(`a worker's report was written: ${done.succeeded}`);
    }),
  ),
);

const held = await acquireLock(store, "jobs/cleanup", { ttlSeconds: 5 });
console.log("somebody else tries:", await tryLock(store, "jobs/cleanup"));
held.signal.addEventListener("abort", () => console.log("the lock is lost: stop working"));
await store.delete(held.key); // what an operator may do
const { why } = await held.lost;
console.log(`why: ${why}, still held: ${held.held}`);
await held.release();
await store.delete({ prefix: "report/" });
store.close();

// prints
// a worker's report was written: true
// a worker's report was written: true
// somebody else tries: undefined
// the lock is lost: stop working
// why: deleted, still held: false
