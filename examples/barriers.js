// Barriers: a gate that somebody holds shut, and workers that begin and end a round together.
// node examples/barriers.js [endpoint ...]

import { Barrier, enterTogether, Quorate } from "quorate";

const given = process.argv.slice(2);
const store = new Quorate({ endpoints: given.length > 0 ? given : ["127.0.0.1:2379"] });

const gate = new Barrier(store, "maintenance");
await gate.hold();
const passing = gate.wait().then(() => console.log("passed the gate"));
console.log("releasing the gate");
await gate.release();
await passing;

let inside = 0;
await Promise.all(
  ["ann", "bob", "cid"].map(async () => {
    const together = await enterTogether(store, "round-1", 3);
    inside++;
    await together.leave(); // returns when all three have left
    console.log(`all ${inside} were in, and are out`);
  }),
);
store.close();

// prints
// releasing the gate
// passed the gate
// all 3 were in, and are out
// all 3 were in, and are out
// all 3 were in, and are out
