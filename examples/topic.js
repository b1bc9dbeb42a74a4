// A topic: messages to everybody who listens, each once and in order, with history.
// node examples/topic.js [endpoint ...]

import { Quorate, Topic } from "quorate";

const given = process.argv.slice(2);
const store = new Quorate({ endpoints: given.length > 0 ? given : ["127.0.0.1:2379"] });

const topic = new Topic(store, "prices", { historyMax: 3 });
for (const price of [10, 11, 12, 13]) {
  await topic.publish({ price });
}

async function listen(name, after, count) {
  for await (const { offset, value, missed } of topic.subscribe({ after })) {
    console.log(`${name}: ${offset} is ${value.price}${missed > 0 ? `, ${missed} missed` : ""}`);
    if (--count === 0) {
      return offset; // to go on behind it, now or after a restart
    }
  }
}

await listen("from the beginning", 0, 3);
const offset = await listen("where I was", 3, 1);
const coming = listen("live", offset, 2);
const { offset: published } = await topic.publish({ price: 14 });
await topic.publish({ price: 15 });
await coming;
console.log(`published as ${published}, the newest is ${await topic.lastOffset()}`);

await topic[Symbol.asyncDispose]();
await store.delete({ prefix: "prices/" });
store.close();

// prints
// from the beginning: 2 is 11, 1 missed
// from the beginning: 3 is 12
// from the beginning: 4 is 13
// where I was: 4 is 13
// live: 5 is 14
// live: 6 is 15
// published as 5, the newest is 6
