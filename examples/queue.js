// A queue: each item to one worker at a time, in order, until somebody is done with it.
// node examples/queue.js [endpoint ...]

import { HoldLostError, Queue, Quorate } from "quorate";

const given = process.argv.slice(2);
const store = new Quorate({ endpoints: given.length > 0 ? given : ["127.0.0.1:2379"] });

const queue = new Queue(store, "orders");
await queue.push({ order: 1 });
await queue.push({ order: 2 });
await queue.push({ order: 3, express: true }, { priority: 1 });

async function work(handle) {
  const item = await queue.take();
  try {
    await handle(item);
    await item.done();
  } finally {
    await item.release(); // back to the queue, unless it is done
  }
}

await work(({ value }) => console.log(`order ${value.order} goes first`));
await work(() => {
  throw new Error("out of boxes");
}).catch(({ message }) => console.log(`${message}: it goes back`));

const slow = await queue.take();
await slow.release(); // as if its worker had died
await work(({ value, id }) => {
  console.log(`order ${value.order} is handed out again: ${id === slow.id}`);
});
await slow.done().catch((error) => {
  console.log(`who is too late is told: ${error instanceof HoldLostError}`);
});
await work(({ value }) => console.log(`order ${value.order} is the last`));
console.log("left:", await queue.size(), "to take:", await queue.tryTake());

await queue[Symbol.asyncDispose]();
store.close();

// prints
// order 3 goes first
// out of boxes: it goes back
// order 1 is handed out again: true
// who is too late is told: true
// order 2 is the last
// left: 0 to take: undefined
