// An election: two candidates, one leader at a time, and an audience.
// node examples/elections.js [endpoint ...]

import { EventEmitter, once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Election, Quorate } from "quorate";

const given = process.argv.slice(2);
const store = new Quorate({ endpoints: given.length > 0 ? given : ["127.0.0.1:2379"] });
const election = new Election(store, "scheduler");

const audience = new AbortController();
const heard = new EventEmitter();
const watching = (async () => {
  for await (const leader of election.observe(audience.signal)) {
    console.log(leader === undefined ? "nobody leads" : `${leader.value} leads`);
    heard.emit(leader?.value ?? "nobody");
    if (leader?.value === "host-2") {
      audience.abort();
    }
  }
})();
await once(heard, "nobody");

const told = once(heard, "host-1");
const first = await election.campaign("host-1");
await told;
const second = election.campaign("host-2"); // waits
const busy = once(heard, "host-1, busy");
await first.proclaim("host-1, busy");
await busy;
while ((await store.count({ prefix: "scheduler/" })) < 2) {
  await sleep(20); // the other one is in line then, and there is no time without a leader
}
await first.resign();

const leadership = await second;
await watching;
console.log(`tokens grow: ${leadership.token > first.token}, led by us: ${leadership.held}`);
await leadership.resign();
store.close();

// prints
// nobody leads
// host-1 leads
// host-1, busy leads
// host-2 leads
// tokens grow: true, led by us: true
