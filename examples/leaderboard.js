// A leaderboard: members in the order of their scores.
// node examples/leaderboard.js [endpoint ...]

import { Leaderboard, Quorate } from "quorate";

const given = process.argv.slice(2);
const store = new Quorate({ endpoints: given.length > 0 ? given : ["127.0.0.1:2379"] });

const board = new Leaderboard(store, "weekly");
await board.set("ada", 40);
await board.set("bob", 55);
await Promise.all(["ada", "cid", "ada", "cid"].map((member) => board.add(member, 12)));

for (const { rank, member, score } of await board.top(3)) {
  console.log(`${rank}. ${member} with ${score}`);
}
const [second] = await board.top(1, { from: 2 });
console.log(`${second.member} is second, cid is number ${await board.rank("cid")}`);
await board.remove("bob");
console.log(`without bob: ${JSON.stringify(await board.of("cid"))} of ${await board.size()}`);

await board[Symbol.asyncDispose]();
await store.delete({ prefix: "weekly/" });
store.close();

// prints
// 1. ada with 64
// 2. bob with 55
// 3. cid with 24
// bob is second, cid is number 3
// without bob: {"member":"cid","score":24,"rank":2} of 2
