// Lets one core do all that it has to do, with a disk that takes no time.

import type { Entry } from "../../src/base/index.ts";
import type { Message, RaftNode, ReadReady } from "../../src/raft/index.ts";

export interface Drained {
  readonly sent: Message[];
  readonly committed: Entry[];
  readonly reads: ReadReady[];
  readonly readsDropped: number[];
}

/** Takes every Ready; membership entries are applied as void changes. */
export function drain(node: RaftNode): Drained {
  const all: Drained = { sent: [], committed: [], reads: [], readsDropped: [] };
  while (node.hasReady(true)) {
    const { persist, sendNow, committed, reads, readsDropped } = node.ready(true);
    all.sent.push(...sendNow);
    all.reads.push(...reads);
    all.readsDropped.push(...readsDropped);
    all.committed.push(...committed);
    for (const entry of committed) {
      if (entry.kind === "confChange") {
        node.applyConfChange({ steps: [] });
      }
      node.appliedTo(entry.index);
    }
    if (persist !== undefined) {
      node.persisted();
      all.sent.push(...persist.thenSend);
    }
  }
  return all;
}
