// Raft messages, forwarded calls and states, between this node and the links to its peers.

import { idToHex } from "../base/index.ts";
import type { Logger, MemberId } from "../base/index.ts";
import type { Message } from "../raft/index.ts";
import type { IncomingFrame, PeerHandlers, PeerNetwork, RefusalReason } from "../peer/contract.ts";
import { decodeMessage, encodeFrame, raftFrameType } from "./peer-codec.ts";
import type { SnapshotExchange } from "./snapshot-exchange.ts";

export interface PeerExchangeNode {
  step(message: Message): void;
  unreachable(to: MemberId): void;
  isRemoved(id: MemberId): boolean;
  answer(kind: number, body: Uint8Array): Promise<Uint8Array>;
  /** A peer says that this member is no longer part of the cluster. */
  removed(): void;
}

export class PeerExchange implements PeerHandlers {
  readonly #node: PeerExchangeNode;
  readonly #network: PeerNetwork;
  readonly #snapshots: SnapshotExchange;
  readonly #logger: Logger;

  constructor(
    node: PeerExchangeNode,
    network: PeerNetwork,
    snapshots: SnapshotExchange,
    logger: Logger,
  ) {
    this.#node = node;
    this.#network = network;
    this.#snapshots = snapshots;
    this.#logger = logger;
  }

  send(messages: readonly Message[]): void {
    for (const message of messages) {
      if (message.kind === "snapshotRequest") {
        this.#snapshots.send(message);
      } else {
        this.#network.send(message.to, encodeFrame(message));
      }
    }
  }

  onFrame(from: MemberId, frame: IncomingFrame): void {
    if (frame.type !== raftFrameType) {
      return;
    }
    const message = decodeMessage(frame.bytes);
    if (message.from === from && message.kind !== "snapshotRequest") {
      this.#node.step(message);
    }
  }

  onRequest(_from: MemberId, kind: number, body: Uint8Array): Promise<Uint8Array> {
    return this.#node.answer(kind, body);
  }

  onSnapshot(from: MemberId, header: Uint8Array, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    this.#logger.info({ from: idToHex(from) }, "receiving snapshot");
    return this.#snapshots.receive(from, header, chunks);
  }

  onUnreachable(to: MemberId): void {
    this.#node.unreachable(to);
  }

  onRefused(to: MemberId, reason: RefusalReason): void {
    this.#logger.warn({ to: idToHex(to), reason }, "peer refused the connection");
    if (reason === "removed") {
      this.#node.removed();
    }
  }

  isRemoved(id: MemberId): boolean {
    return this.#node.isRemoved(id);
  }
}
