// testing: Quorate for other people's tests, the package's `quorate/testing`.
//
//   await using cluster = await startTestCluster();
//   const client = connect({ endpoints: cluster.endpoints });
//   const old = await cluster.killLeader();
//   await client.put(...);   // served by the two that are left
//   await old.start();       // comes back with what it had
//
// What it is. Real members, with real Raft and real gRPC on real sockets, but in this process, on
// disks of memory, with shorter timeouts than a server's. cluster.ts is what a test does to them,
// member.ts one of them, links.ts the wires between them.
//
// Rules:
// - A kill is a kill: calls break, nothing is handed over, and what was acknowledged is there after
//   `start()`, because the memory keeps what was appended to the log. It never loses or tears a
//   write: for failing disks run the server as a process.
// - A partition is silent (links.ts says what that means), and holds for members that start while
//   it lasts.
// - Everything ends with `await using` or `close()`; nothing is left on disk.
//
// Limits: members share this process's one thread with the test, so speed says nothing here, and a
// test that blocks the thread for longer than the election timeout makes the leader change.

export { startTestCluster, startTestNode, TestCluster } from "./cluster.ts";
export { TestMember } from "./member.ts";
export type { TestNodeOptions } from "./member.ts";
