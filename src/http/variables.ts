// /debug/vars: what Go's expvar shows on etcd, as far as it means anything here.

import { idToHex } from "../base/index.ts";
import type { HttpReply } from "../grpc/contract.ts";
import type { NodeStatus } from "../node/handle.ts";
import { jsonReply } from "./reply.ts";

export function variablesReply(status: NodeStatus): HttpReply {
  const { rss, heapTotal, heapUsed, external } = process.memoryUsage();
  return jsonReply({
    memstats: { Sys: rss, HeapSys: heapTotal, HeapAlloc: heapUsed, External: external },
    "raft.status": {
      id: idToHex(status.memberId),
      term: status.term,
      commit: status.commit,
      lead: idToHex(status.leader),
      raftState: status.isLeader ? "StateLeader" : "StateFollower",
      applied: status.applied,
    },
  });
}
