// A process that takes a lock, says so, and on each line of input says whether it believes to hold
// it and what became of a write that is tied to it. Run by locks.test.ts, which stops it in
// between.

import { createInterface } from "node:readline";
import { acquireLock } from "../../src/recipes/index.ts";
import { Quorate } from "../../src/sdk/index.ts";

const [name = "", ...endpoints] = process.argv.slice(2);
const store = new Quorate({ endpoints });
const lock = await acquireLock(store, name, { ttlSeconds: 2 });
process.stdout.write(`holds ${lock.token}\n`);
for await (const _line of createInterface({ input: process.stdin })) {
  process.stdout.write(`held ${lock.held}\n`);
  const done = await store
    .txn()
    .if(lock.condition())
    .do(store.op.put(`${name}-data`, `by ${lock.token}`))
    .commit({ timeoutMs: 15_000 });
  process.stdout.write(done.succeeded ? "written\n" : "refused\n");
}
