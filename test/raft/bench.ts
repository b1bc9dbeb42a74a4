// What the core costs per entry, by itself: `npx tsx test/raft/bench.ts`. Members in one process,
// no disk and no network; entries proposed in batches, as an event loop under load would.

import { must, SeededRng } from "../../src/base/index.ts";
import type { LogIndex, MemberId } from "../../src/base/index.ts";
import { bootstrapState, RaftNode } from "../../src/raft/index.ts";

const keepEntries = 5_000;

function makeCluster(size: number): Map<MemberId, RaftNode> {
  const ids = Array.from({ length: size }, (_, i) => BigInt(i + 1) as MemberId);
  return new Map(
    ids.map((self) => {
      const rng = new SeededRng(Number(self));
      return [self, new RaftNode({ self, rng, initial: bootstrapState(ids) })];
    }),
  );
}

/** Runs until nothing moves; returns the Readies taken. */
function settle(nodes: ReadonlyMap<MemberId, RaftNode>): number {
  let readies = 0;
  for (let moved = true; moved; ) {
    moved = false;
    for (const node of nodes.values()) {
      while (node.hasReady(true)) {
        moved = true;
        readies++;
        const { persist, sendNow, committed } = node.ready(true);
        for (const message of sendNow) {
          nodes.get(message.to)?.step(message);
        }
        if (persist !== undefined) {
          node.persisted();
          for (const message of persist.thenSend) {
            nodes.get(message.to)?.step(message);
          }
        }
        const last = committed[committed.length - 1];
        if (last !== undefined) {
          node.appliedTo(last.index);
        }
      }
    }
  }
  return readies;
}

function measure(size: number, batch: number): void {
  const nodes = makeCluster(size);
  const leader = must(nodes.get(1n as MemberId));
  leader.campaign();
  settle(nodes);
  const data = new Uint8Array(256);
  const count = batch === 1 ? 200_000 : 1_000_000;
  let best = Number.POSITIVE_INFINITY;
  let readies = 0;
  for (let repeat = 0; repeat < 3; repeat++) {
    readies = 0;
    const started = process.hrtime.bigint();
    for (let done = 0; done < count; done += batch) {
      for (let i = 0; i < batch; i++) {
        leader.propose(data);
      }
      readies += settle(nodes);
      if (done % 5_000 < batch) {
        for (const node of nodes.values()) {
          node.compactTo(Math.max(1, node.status().applied - keepEntries) as LogIndex);
        }
      }
    }
    best = Math.min(best, Number(process.hrtime.bigint() - started) / count);
  }
  const perEntry = best.toFixed(0).padStart(6);
  const perReady = ((best * count) / readies).toFixed(0).padStart(6);
  console.log(
    `${size} members, ${String(batch).padStart(4)} a batch: ${perEntry} ns an entry, ${perReady} ns a Ready`,
  );
}

for (const size of [1, 3, 5]) {
  for (const batch of [1, 10, 100, 1000]) {
    measure(size, batch);
  }
}
