// Every parser that reads bytes from outside, save those whose own tests do the same: HTTP/2 and
// HPACK (test/grpc), raft messages (test/node), backup files (test/etcd-snapshot).

import { configTargets } from "./config-targets.ts";
import { peerTargets } from "./peer-targets.ts";
import { storageTargets } from "./storage-targets.ts";
import type { Target } from "./target.ts";
import { wireTargets } from "./wire-targets.ts";

export const targets: readonly Target[] = [
  ...wireTargets,
  ...peerTargets,
  ...storageTargets,
  ...configTargets,
];
