// Every parser that reads bytes from outside, save those whose own tests do the same: HTTP/2
// conversations (test/grpc), raft messages (test/node).

import { configTargets } from "./config-targets.ts";
import { fileTargets } from "./file-targets.ts";
import { peerTargets } from "./peer-targets.ts";
import { requestTargets } from "./request-targets.ts";
import { storageTargets } from "./storage-targets.ts";
import type { Target } from "./target.ts";
import { wireTargets } from "./wire-targets.ts";

export const targets: readonly Target[] = [
  ...wireTargets,
  ...peerTargets,
  ...storageTargets,
  ...configTargets,
  ...requestTargets,
  ...fileTargets,
];
