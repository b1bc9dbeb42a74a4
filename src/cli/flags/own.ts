// Flags that etcd does not have.

import { type Flag, rowsOf } from "./flag.ts";

const row = rowsOf("Quorate's own");

export const ownFlags: readonly Flag[] = [
  row(
    "memory-budget",
    "size",
    "256MiB",
    "works",
    "Memory for caches; data may be many times larger.",
  ),
  row(
    "emulate-version",
    "string",
    "3.6.14",
    "works",
    "The etcd version that /version and Status answer, as x.y.z.",
  ),
  row(
    "grpc-server",
    "choice",
    "direct",
    "works",
    "Which gRPC server answers: Quorate's own or the @grpc/grpc-js package's.",
    ["direct", "grpc-js"],
  ),
];
