// Whole states between members. A leader that no longer has the entries a follower needs sends
// it the state instead: a pinned view of the engine, streamed in chunks while writes go on. The
// receiver writes it beside its own state; only when it is whole does the core hear of it.

import { DecodeError, must } from "../base/index.ts";
import type { Logger, LogIndex, MemberId, SnapshotMeta } from "../base/index.ts";
import type { SnapshotRequest } from "../raft/index.ts";
import type { PeerNetwork } from "../peer/contract.ts";
import type { ReceivedState } from "../storage/index.ts";
import { decodeMessage, encodeMessage } from "./peer-codec.ts";

export interface SnapshotExchangeNode {
  /** Writes out everything applied so far and streams the state at that point. */
  stream(): Promise<{ readonly meta: SnapshotMeta; readonly chunks: AsyncIterable<Uint8Array> }>;
  receive(meta: SnapshotMeta, chunks: AsyncIterable<Uint8Array>): Promise<ReceivedState>;
  /** The received state is whole: let the core decide whether it is wanted. */
  step(message: SnapshotRequest): void;
  reportSnapshot(to: MemberId, delivered: boolean): void;
}

export class SnapshotExchange {
  readonly #node: SnapshotExchangeNode;
  readonly #network: PeerNetwork;
  readonly #logger: Logger;
  readonly #sending = new Map<MemberId, AbortController>();
  /** By index: whole states that the core was told of and has not asked for yet. */
  readonly #received = new Map<LogIndex, ReceivedState>();

  constructor(node: SnapshotExchangeNode, network: PeerNetwork, logger: Logger) {
    this.#node = node;
    this.#network = network;
    this.#logger = logger;
  }

  /** Answers the core's wish to bring a follower up by state. One transfer a member at a time. */
  send(request: SnapshotRequest): void {
    if (this.#sending.has(request.to)) {
      return;
    }
    const abort = new AbortController();
    this.#sending.set(request.to, abort);
    this.#send(request, abort.signal).then(
      () => this.#ended(request.to, true),
      (error: unknown) => {
        this.#logger.warn({ to: request.to.toString(16), err: error }, "snapshot not delivered");
        this.#ended(request.to, false);
      },
    );
  }

  /** Takes a state from a peer; resolves once it is whole and the core has been told. */
  async receive(
    from: MemberId,
    header: Uint8Array,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const message = decodeMessage(header);
    if (message.kind !== "snapshotRequest" || message.from !== from) {
      throw new DecodeError("a state transfer must open with a snapshot request");
    }
    const state = await this.#node.receive(message.snapshot, chunks);
    const { index } = message.snapshot;
    await this.#received.get(index)?.discard();
    this.#received.set(index, state);
    this.#node.step(message);
  }

  /** The state that the core wants installed, taken over by the caller. */
  take(meta: SnapshotMeta): ReceivedState {
    const state = must(this.#received.get(meta.index), "the core asks for a state it was told of");
    this.#received.delete(meta.index);
    return state;
  }

  /** The state at `installed` is in use: older ones will not be asked for. */
  async discardUpTo(installed: LogIndex): Promise<void> {
    const old = [...this.#received].filter(([index]) => index <= installed);
    for (const [index, state] of old) {
      this.#received.delete(index);
      await state.discard();
    }
  }

  async close(): Promise<void> {
    for (const abort of this.#sending.values()) {
      abort.abort();
    }
    await this.discardUpTo(Number.MAX_SAFE_INTEGER as LogIndex);
  }

  async #send(request: SnapshotRequest, signal: AbortSignal): Promise<void> {
    const { meta, chunks } = await this.#node.stream();
    const header = encodeMessage({ ...request, snapshot: meta });
    this.#logger.info({ to: request.to.toString(16), index: meta.index }, "sending snapshot");
    await this.#network.sendSnapshot(request.to, header, chunks, signal);
  }

  #ended(to: MemberId, delivered: boolean): void {
    this.#sending.delete(to);
    this.#node.reportSnapshot(to, delivered);
  }
}
