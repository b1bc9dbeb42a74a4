// The contract of the links between members: one-way frames, small calls, and state transfer.
// The node is written against it; src/peer implements it on TCP, the simulator on a virtual
// network.
//
// Rules that every implementation keeps:
// - Frames from one member to another arrive in the order sent or not at all; any may be lost.
//   None is repeated by this layer, but a peer that restarts may see frames meant for its past.
// - `from` is the member that the handshake named, in this cluster; what a frame holds is bytes
//   from outside, for the receiver to validate. A handler that throws DecodeError drops the link.
// - Sending never blocks and never throws: what cannot be sent is dropped, and `onUnreachable`
//   says so.
// - Bytes given to this layer are never changed afterwards; bytes given to a handler are its own.

import type { MemberId } from "../base/index.ts";

export interface PeerAddress {
  readonly id: MemberId;
  /** `http://host:port` or `https://host:port`, as in the member list; tried in turn. */
  readonly urls: readonly string[];
}

/** A frame to send. `parts` are joined on the wire: a shared body needs no copy a receiver. */
export interface OutgoingFrame {
  /** 0 to 255; its meaning belongs to whoever sends and receives. */
  readonly type: number;
  readonly parts: readonly Uint8Array[];
  /** May be given up, oldest first, when the peer is too slow; others go last. */
  readonly droppable: boolean;
}

export interface IncomingFrame {
  readonly type: number;
  readonly bytes: Uint8Array;
}

/** Why a handshake was refused; told to the other side and counted. */
export type RefusalReason =
  | "protocolVersion"
  | "clusterId"
  | "memberId"
  | "removed"
  | "malformed"
  | "stopping";

export interface PeerHandlers {
  onFrame(from: MemberId, frame: IncomingFrame): void;
  /** Answers `request`; a rejection reaches the caller as a PeerError with the error's message. */
  onRequest(from: MemberId, kind: number, body: Uint8Array): Promise<Uint8Array>;
  /**
   * A state transfer. `chunks` ends after the last one and throws if the sender breaks off;
   * reading slowly slows the sender. Resolving acknowledges the transfer to the sender.
   */
  onSnapshot(from: MemberId, header: Uint8Array, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /** Frames for `to` were lost: the link broke, could not be made, or its queue overflowed. */
  onUnreachable(to: MemberId): void;
  /** `to` refused this member; `removed`: it is no longer part of the cluster. */
  onRefused(to: MemberId, reason: RefusalReason): void;
  /** Members that were removed are refused at the handshake. */
  isRemoved(id: MemberId): boolean;
}

/** What an operator may see of the link to one peer. */
export interface PeerLinkStatus {
  readonly id: MemberId;
  readonly connected: boolean;
  /** Smoothed, milliseconds; undefined before the first measurement. */
  readonly roundTripMs: number | undefined;
  /** Monotonic time of the last byte from the peer on any link; undefined before the first. */
  readonly lastReceivedAtMs: number | undefined;
  readonly queuedBytes: number;
}

/** Observations for metrics; etcd's etcd_network_* names are built on these. */
export interface PeerMetrics {
  sent(to: MemberId, bytes: number): void;
  received(from: MemberId, bytes: number): void;
  /** Frames given up. */
  sendFailed(to: MemberId, frames: number): void;
  /** A link dropped for what arrived on it. */
  receiveFailed(from: MemberId): void;
  roundTrip(to: MemberId, milliseconds: number): void;
  refused(reason: RefusalReason): void;
  connected(to: MemberId, isConnected: boolean): void;
  snapshotSent(to: MemberId, bytes: number, milliseconds: number, delivered: boolean): void;
  snapshotReceived(from: MemberId, bytes: number, milliseconds: number, whole: boolean): void;
}

export interface PeerNetwork {
  /** Begins to listen and to connect. Called once; rejects when the port cannot be had. */
  start(handlers: PeerHandlers): Promise<void>;
  /** The other members; links to those no longer named are closed. Also before `start`. */
  setPeers(peers: readonly PeerAddress[]): void;
  /** Frames of one turn leave in one write. A caller that `setPeers` did not name is answered too. */
  send(to: MemberId, frame: OutgoingFrame): void;
  /** Rejects with PeerError: unreachable, timed out, or failed on the other side. Not retried. */
  request(to: MemberId, kind: number, body: Uint8Array, timeoutMs: number): Promise<Uint8Array>;
  /**
   * Sends a state on a connection of its own and resolves when the receiver has acknowledged it.
   * Rejects with PeerError, or with the error that `chunks` threw. Whatever happens, the iterator
   * of `chunks` is ended (`return`), also one that was never begun.
   */
  sendSnapshot(
    to: MemberId,
    header: Uint8Array,
    chunks: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<void>;
  links(): readonly PeerLinkStatus[];
  /** Stops listening, closes every link and fails what waits. Idempotent. */
  close(): Promise<void>;
}
