// PeerNetwork on sockets (the contract is in contract.ts). Two members are joined by two
// connections, one for what each sends, and by one more for each state on its way.

import type { Server as HttpServer } from "node:http";
import type { Socket } from "node:net";
import { assert, compareIds, fromUtf8, idToHex } from "../base/index.ts";
import type { Clock, ClusterId, Logger, MemberId, Rng } from "../base/index.ts";
import type {
  OutgoingFrame,
  PeerAddress,
  PeerHandlers,
  PeerLinkStatus,
  PeerMetrics,
  PeerNetwork,
  RefusalReason,
} from "./contract.ts";
import { protocolVersion } from "./framing.ts";
import type { Hello } from "./framing.ts";
import { welcome } from "./handshake.ts";
import type { OpenSocket } from "./handshake.ts";
import { IncomingLink } from "./incoming-link.ts";
import { IncomingTransfer } from "./incoming-transfer.ts";
import type { LinkContext } from "./link-context.ts";
import { OutgoingLink } from "./outgoing-link.ts";
import { sendSnapshot } from "./outgoing-transfer.ts";
import { PeerError } from "./peer-error.ts";
import { tcpTransport } from "./transport.ts";
import type { PeerListener, PeerTransport } from "./transport.ts";

/** Sockets that have not shaken hands yet; more are turned away. */
const strangersMax = 128;
/** All sockets of the peer port, with those that speak HTTP or nothing yet. */
const socketsMax = 1024;
/** Whoever says nothing for this long is let go, milliseconds. */
const firstBytesMsMax = 3_000;

export interface TcpPeerNetworkConfig {
  readonly clusterId: ClusterId;
  readonly memberId: MemberId;
  /** `http://host:port`; port 0 takes any. */
  readonly listenUrls: readonly string[];
  readonly clock: Clock;
  readonly rng: Rng;
  readonly logger: Logger;
  readonly metrics: PeerMetrics;
  /** Answers plain HTTP on the peer port; without it such connections are refused. */
  readonly http?: HttpServer | undefined;
  /** TCP unless told. */
  readonly transport?: PeerTransport | undefined;
}

type Incoming = IncomingLink | IncomingTransfer;

export class TcpPeerNetwork implements PeerNetwork {
  readonly #config: TcpPeerNetworkConfig;
  readonly #peers = new Map<MemberId, PeerAddress>();
  readonly #links = new Map<MemberId, OutgoingLink>();
  readonly #messageLinks = new Map<MemberId, IncomingLink>();
  readonly #transfers = new Map<MemberId, IncomingTransfer>();
  /** Every socket that called, until it is closed. */
  readonly #sockets = new Set<Socket>();
  #strangers = 0;
  readonly #sending = new Set<AbortController>();
  readonly #heardAtMs = new Map<MemberId, number>();
  #listeners: PeerListener[] = [];
  #context: LinkContext | undefined;
  #isClosed = false;

  constructor(config: TcpPeerNetworkConfig) {
    this.#config = config;
  }

  async start(handlers: PeerHandlers): Promise<void> {
    assert(this.#context === undefined, "a network is started once");
    const { clusterId, memberId, clock, rng, logger, metrics } = this.#config;
    const transport = this.#config.transport ?? tcpTransport;
    this.#context = {
      clusterId,
      memberId,
      transport,
      clock,
      rng,
      logger,
      metrics,
      handlers,
      heardFrom: (from) => this.#heardAtMs.set(from, clock.monotonicMs()),
    };
    try {
      for (const url of this.#config.listenUrls) {
        this.#listeners.push(await transport.listen(url, (socket) => this.#onSocket(socket)));
      }
    } catch (error) {
      await this.close();
      throw error;
    }
    this.#connectPeers();
  }

  /** Ports that the listeners got, in the order of `listenUrls`. */
  get ports(): readonly number[] {
    return this.#listeners.map((listener) => listener.port);
  }

  setPeers(peers: readonly PeerAddress[]): void {
    const named = new Set(peers.map((peer) => peer.id));
    for (const id of [...this.#peers.keys()].filter((known) => !named.has(known))) {
      this.#peers.delete(id);
      this.#links.get(id)?.close();
      this.#links.delete(id);
      this.#messageLinks.get(id)?.close();
      this.#transfers.get(id)?.close();
      this.#heardAtMs.delete(id);
    }
    for (const peer of peers) {
      assert(peer.id !== this.#config.memberId, "a member is not its own peer");
      this.#peers.set(peer.id, peer);
      this.#links.get(peer.id)?.setUrls(peer.urls);
    }
    this.#connectPeers();
  }

  send(to: MemberId, frame: OutgoingFrame): void {
    // A caller that is not on our list is answered on its own link. Who was away while a member
    // joined, and then finds it leading, can only catch up, and learn the list, by answering.
    const link = this.#links.get(to) ?? this.#messageLinks.get(to);
    if (link === undefined) {
      this.#config.metrics.sendFailed(to, 1);
    } else {
      link.send(frame);
    }
  }

  request(to: MemberId, kind: number, body: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const link = this.#links.get(to);
    return link === undefined
      ? Promise.reject(new PeerError("unreachable", `member ${idToHex(to)} is not a peer`))
      : link.request(kind, body, timeoutMs);
  }

  async sendSnapshot(
    to: MemberId,
    header: Uint8Array,
    chunks: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<void> {
    const peer = this.#peers.get(to) ?? { id: to, urls: [] };
    const context = this.#context;
    assert(context !== undefined && !this.#isClosed, "states are sent while the network runs");
    const closing = new AbortController();
    this.#sending.add(closing);
    try {
      const both =
        signal === undefined ? closing.signal : AbortSignal.any([closing.signal, signal]);
      await sendSnapshot(context, peer, header, chunks, both);
    } finally {
      this.#sending.delete(closing);
    }
  }

  links(): readonly PeerLinkStatus[] {
    return [...this.#links]
      .sort(([a], [b]) => compareIds(a, b))
      .map(([id, link]) => link.status(this.#heardAtMs.get(id)));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const closing = this.#listeners.map((listener) => listener.close());
    for (const link of this.#links.values()) {
      link.close();
    }
    this.#links.clear();
    for (const abort of this.#sending) {
      abort.abort();
    }
    const incoming: Incoming[] = [...this.#messageLinks.values(), ...this.#transfers.values()];
    for (const link of incoming) {
      link.close();
    }
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    await Promise.all(closing);
  }

  #connectPeers(): void {
    const context = this.#context;
    if (context === undefined || this.#isClosed) {
      return;
    }
    for (const [id, peer] of this.#peers) {
      if (!this.#links.has(id)) {
        this.#links.set(id, new OutgoingLink(peer, context));
      }
    }
  }

  #onSocket(socket: Socket): void {
    const context = this.#context;
    if (context === undefined || this.#isClosed || this.#sockets.size >= socketsMax) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    const { http } = this.#config;
    if (http === undefined) {
      this.#shakeHands(socket, context);
      return;
    }
    let hasSpoken = false;
    socket.once("data", (first: Uint8Array) => {
      hasSpoken = true;
      socket.pause();
      socket.unshift(first);
      if (startsLikeHttp(first)) {
        http.emit("connection", socket);
        socket.resume();
      } else {
        this.#shakeHands(socket, context);
        socket.resume();
      }
    });
    socket.on("error", () => socket.destroy());
    context.clock.after(firstBytesMsMax, () => {
      if (!hasSpoken) {
        socket.destroy();
      }
    });
  }

  #shakeHands(socket: Socket, context: LinkContext): void {
    if (this.#strangers >= strangersMax) {
      socket.destroy();
      return;
    }
    this.#strangers++;
    const { clock } = context;
    const judge = (hello: Hello): RefusalReason | undefined => this.#judge(hello, context);
    const onRefused = (reason: RefusalReason, hello: Hello | undefined): void => {
      context.metrics.refused(reason);
      const from = hello === undefined ? socket.remoteAddress : idToHex(hello.from);
      context.logger.warn({ from, reason }, "refused a link");
    };
    welcome(socket, clock, judge, onRefused).then(
      (open) => {
        this.#strangers--;
        if (open !== undefined) {
          this.#welcomed(open, context);
        }
      },
      (error: unknown) => {
        this.#strangers--;
        socket.destroy();
        context.logger.error({ err: error }, "a link could not be taken");
      },
    );
  }

  #judge(hello: Hello, context: LinkContext): RefusalReason | undefined {
    if (hello.version !== protocolVersion) {
      return "protocolVersion";
    }
    if (hello.clusterId !== context.clusterId) {
      return "clusterId";
    }
    if (hello.to !== context.memberId || hello.from === context.memberId || hello.from === 0n) {
      return "memberId";
    }
    if (context.handlers.isRemoved(hello.from)) {
      return "removed";
    }
    return this.#isClosed ? "stopping" : undefined;
  }

  /** A newer connection replaces an older one, which is most likely dead. */
  #welcomed(open: OpenSocket & { readonly hello: Hello }, context: LinkContext): void {
    const { from, purpose } = open.hello;
    if (this.#isClosed) {
      open.socket.destroy();
      return;
    }
    if (purpose === "messages") {
      const make = (end: () => void): IncomingLink => new IncomingLink(from, open, context, end);
      replace(this.#messageLinks, from, make);
      this.#links.get(from)?.retryNow();
    } else {
      const make = (end: () => void): IncomingTransfer =>
        new IncomingTransfer(from, open, context, end);
      replace(this.#transfers, from, make);
    }
  }
}

/** A handshake begins with other bytes. */
function startsLikeHttp(bytes: Uint8Array): boolean {
  return fromUtf8(bytes.subarray(0, 4)) === "GET ";
}

function replace<T extends Incoming>(
  links: Map<MemberId, T>,
  from: MemberId,
  make: (onClosed: () => void) => T,
): void {
  links.get(from)?.close();
  const link = make(() => {
    if (links.get(from) === link) {
      links.delete(from);
    }
  });
  links.set(from, link);
  link.begin();
}
