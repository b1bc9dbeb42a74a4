// Discovery: instances register, clients follow the list.
// node examples/discovery.js [endpoint ...]

import { follow, Quorate, register } from "quorate";

const given = process.argv.slice(2);
const store = new Quorate({ endpoints: given.length > 0 ? given : ["127.0.0.1:2379"] });

const list = await follow(store, "billing");
const listHas = async (...ids) => {
  while (list.instances.map(({ id }) => id).join() !== ids.join()) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  console.log(list.instances.map(({ id, address }) => `${id} at ${address}`));
};

const a = await register(store, "billing", { id: "a", address: "10.0.0.1:80" });
await listHas("a");
const b = await register(store, "billing", { id: "b", address: "10.0.0.2:80", ttlSeconds: 3 });
await listHas("a", "b");
await a.close(); // off the list at once; had it died, after its TTL
await listHas("b");

await b.close();
list.close();
store.close();

// prints
// [ 'a at 10.0.0.1:80' ]
// [ 'a at 10.0.0.1:80', 'b at 10.0.0.2:80' ]
// [ 'b at 10.0.0.2:80' ]
