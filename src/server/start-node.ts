// `quorate/server`: a node of Quorate in the process of whoever calls.
//
//   import { startNode } from "quorate/server";
//   await using node = await startNode({ dataDir: "data" });
//   console.log(node.clientUrl);
//
// It is the whole server: clients of any kind may connect to its URLs. The process stays the
// caller's: a node never ends it, takes no signals and reads no environment. When its disk fails,
// or it is removed from its cluster, it stops by itself, and `failed` says why.

import { type Logger, silentLogger } from "../base/index.ts";
import type { NodeStatus } from "../node/handle.ts";
import type { MemberServer } from "./member-server.ts";
import { configOf, inEmbeddersWords, type NodeOptions } from "./node-options.ts";
import { startServer } from "./start-server.ts";

export { ConfigError } from "../base/index.ts";
export type { ClusterOptions, NodeOptions, TlsFiles } from "./node-options.ts";
export type { Logger, NodeStatus };

/** A node that serves clients. `await using` closes it. */
export class EmbeddedNode implements AsyncDisposable {
  readonly #server: MemberServer;
  readonly name: string;

  /** Made by `startNode`. */
  constructor(name: string, server: MemberServer) {
    this.name = name;
    this.#server = server;
  }

  /** The first of `clientUrls`. */
  get clientUrl(): string {
    return this.clientUrls[0] ?? "";
  }

  /** Where clients find it, with the ports that were got; sorted. */
  get clientUrls(): readonly string[] {
    return this.#server.clientUrls;
  }

  /** Where other members find it. */
  get peerUrls(): readonly string[] {
    return this.#server.peerUrls;
  }

  /**
   * Resolves, never rejects, when the node has stopped by itself: its disk failed or cannot be
   * trusted, or it was removed from the cluster. It must still be closed.
   */
  get failed(): Promise<Error> {
    return this.#server.failed;
  }

  /** What the node knows now: leader, term, revision, sizes. Costs nothing. */
  status(): NodeStatus {
    return this.#server.status();
  }

  /** Hands leadership over, lets calls end (2 s at most) and writes out. Idempotent. */
  close(): Promise<void> {
    return this.#server.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Starts a node; resolves once it serves, which in a cluster takes a quorum of members. Rejects
 * with ConfigError for options that do not fit, StorageError or CorruptionError for the disk,
 * ListenError for an address, and the signal's reason.
 */
export async function startNode(options: NodeOptions): Promise<EmbeddedNode> {
  const config = configOf(options);
  try {
    const { logger = silentLogger, signal } = options;
    const server = await startServer(config, logger, { signal });
    return new EmbeddedNode(config.name, server);
  } catch (error) {
    throw inEmbeddersWords(error);
  }
}
