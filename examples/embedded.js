// A node of Quorate in one's own process.
// node examples/embedded.js

import { Quorate } from "quorate";
import { startNode } from "quorate/server";

const node = await startNode({ memory: true }); // or { dataDir: "data" }
void node.failed.then((error) => console.error("the node has stopped by itself", error));

const store = new Quorate({ endpoints: [node.clientUrl] });
await store.put("hello", "world");
console.log((await store.get("hello"))?.value);
console.log(`${node.name} leads: ${node.status().isLeader}`);

store.close();
await node.close();

// prints
// world
// default leads: true
