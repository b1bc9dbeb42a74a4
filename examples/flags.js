// Feature flags: switched on for some, for a part of all, or for everybody, while programs run.
// node examples/flags.js [endpoint ...]

import { FeatureFlags, Quorate } from "quorate";

const given = process.argv.slice(2);
const store = new Quorate({ endpoints: given.length > 0 ? given : ["127.0.0.1:2379"] });

const flags = await FeatureFlags.open(store);
console.log("new-cart for ada:", flags.isOn("new-cart", "ada"));

await flags.set("new-cart", { enabled: true, percent: 0, include: ["ada"] });
console.log("new-cart for ada:", flags.isOn("new-cart", "ada"));
console.log("new-cart for bob:", flags.isOn("new-cart", "bob"));

await flags.set("new-cart", { enabled: true, percent: 50 });
const users = Array.from({ length: 1000 }, (_, i) => `user-${i}`);
const part = users.filter((user) => flags.isOn("new-cart", user)).length;
console.log("about half of all:", part > 400 && part < 600);

await flags.remove("new-cart");
await flags.close();
store.close();

// prints
// new-cart for ada: false
// new-cart for ada: true
// new-cart for bob: false
// about half of all: true
