// server: one member of a cluster, put together and listening, whoever runs it.
//
// What it is. config.ts is all that a server is told; member-server.ts puts disk, node, links,
// services and ports together. The command line makes the configuration from flags and owns the
// process; a program that embeds a node gives an object (start-node.ts, the package's
// `quorate/server`), and quorate/testing runs members whose links can be cut.
//
// Rules:
// - Nothing here ends the process, takes its signals, reads its environment or sets its umask:
//   that is the command line's. A node that stops by itself says so in `failed`.
// - Nothing is written before everything that was given has been found good.
// - This door loads little: the composition comes with the first server (start-server.ts).
//
// Limits: the size of libuv's thread pool, which WAL writes, LevelDB and password hashing share, is
// the process's. The `quorate` command asks for 16 threads; an embedder sets UV_THREADPOOL_SIZE
// before the process starts, or lives with 4 (docs/decisions/thread-pool.md).

export {
  checkTimes,
  electionTimeoutMsMax,
  memoryBudgetBytesMin,
  quotaBytesDefault,
} from "./config.ts";
export type {
  AuthConfig,
  AutoCompaction,
  ClusterConfig,
  InitialMember,
  SecurityConfig,
  ServerConfig,
} from "./config.ts";
export { featureGates } from "./feature-gates.ts";
export type { FeatureGate } from "./feature-gates.ts";
export type { MemberServer, ServerParts } from "./member-server.ts";
export { configOf } from "./node-options.ts";
export type { NodeOptions } from "./node-options.ts";
export { EmbeddedNode, startNode } from "./start-node.ts";
export type { NodeStatus } from "./start-node.ts";
export { startServer } from "./start-server.ts";
export { checkAdvertisedUrls, isUnixSocket, parseUrls, toListenUrls } from "./urls.ts";
export type { ServerUrl } from "./urls.ts";
export { quorateVersion } from "./version.ts";
