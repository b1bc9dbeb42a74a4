// A cache: a copy of a range that is read without a round trip and says how fresh it is.
// node examples/cache.js [endpoint ...]

import { Cache, Quorate } from "quorate";

const given = process.argv.slice(2);
const store = new Quorate({ endpoints: given.length > 0 ? given : ["127.0.0.1:2379"] });

await store.put("prices/apple", "3");
const cache = await Cache.open(store, { prefix: "prices/" });
console.log(`apple costs ${cache.get("prices/apple")?.value}`);

cache.onChange((changes) => {
  for (const { key, entry, before } of changes) {
    console.log(`${key}: ${before?.value} -> ${entry?.value}`);
  }
});
const { revision } = await store.put("prices/apple", "4");
await cache.reached(revision); // one's own write is in the copy now
console.log(`apple costs ${cache.get("prices/apple")?.value}`);
while (cache.freshness.ageMs > 5_000) {
  await new Promise((resolve) => setTimeout(resolve, 50));
}
console.log("the copy was the newest at most five seconds ago");

cache.close();
await store.delete({ prefix: "prices/" });
store.close();

// prints
// apple costs 3
// prices/apple: 3 -> 4
// apple costs 4
// the copy was the newest at most five seconds ago
