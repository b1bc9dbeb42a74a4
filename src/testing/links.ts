// The links between the members of a test cluster, which can be cut.
//
// A cut link carries nothing and says nothing, as when a switch fails: what is written to it waits
// (as TCP's retransmissions do) and arrives after healing if neither side gave up before; a new
// connection neither succeeds nor fails until somebody's patience ends. One thing a real cut would
// hide leaks through: that the other side has closed a connection.

import { Socket } from "node:net";
import type { PeerTransport } from "../peer/index.ts";

interface Dialed {
  readonly from: string;
  readonly to: string;
  readonly socket: Socket;
}

interface Accepted {
  readonly at: string;
  readonly socket: Socket;
}

export class Links {
  /** Members by the port that others dial. */
  readonly #memberOfPort: ReadonlyMap<number, string>;
  /** The group of each member while there is a partition. */
  #groups: ReadonlyMap<string, number> | undefined;
  readonly #dialed = new Set<Dialed>();
  readonly #accepted = new Set<Accepted>();
  readonly #corked = new Set<Socket>();
  /** Connections that were asked for across a cut. */
  readonly #hanging = new Set<Socket>();

  constructor(memberOfPort: ReadonlyMap<number, string>) {
    this.#memberOfPort = memberOfPort;
  }

  /** What `member` reaches the others by. */
  transportOf(member: string, transport: PeerTransport): PeerTransport {
    return {
      connect: (url, onConnected) => {
        const to = this.#memberOfPort.get(Number(new URL(url).port)) ?? "";
        if (this.isCut(member, to)) {
          return this.#hang();
        }
        const socket = transport.connect(url, onConnected);
        return this.#keep(this.#dialed, { from: member, to, socket }).socket;
      },
      listen: (url, onSocket) =>
        transport.listen(url, (socket) => {
          onSocket(this.#keep(this.#accepted, { at: member, socket }).socket);
        }),
    };
  }

  /** Members of different groups do not reach each other any more. */
  partition(groups: readonly (readonly string[])[]): void {
    this.#groups = new Map(groups.flatMap((group, i) => group.map((name) => [name, i] as const)));
    const ports = new Map<number, Dialed>();
    for (const dialed of this.#dialed) {
      if (dialed.socket.localPort !== undefined) {
        ports.set(dialed.socket.localPort, dialed);
      }
      this.#setCork(dialed.socket, this.isCut(dialed.from, dialed.to));
    }
    for (const { at, socket } of this.#accepted) {
      const from = ports.get(socket.remotePort ?? 0)?.from;
      this.#setCork(socket, from !== undefined && this.isCut(from, at));
    }
  }

  /** Everybody reaches everybody again. */
  heal(): void {
    this.#groups = undefined;
    for (const socket of this.#corked) {
      socket.uncork();
    }
    this.#corked.clear();
    for (const socket of this.#hanging) {
      socket.destroy(new Error("the link was cut"));
    }
    this.#hanging.clear();
  }

  /** Whether nothing passes between two members now. */
  isCut(a: string, b: string): boolean {
    return this.#groups !== undefined && this.#groups.get(a) !== this.#groups.get(b);
  }

  #setCork(socket: Socket, cut: boolean): void {
    if (cut && !this.#corked.has(socket)) {
      this.#corked.add(socket);
      socket.cork();
    } else if (!cut && this.#corked.delete(socket)) {
      socket.uncork();
    }
  }

  #hang(): Socket {
    const socket = new Socket();
    this.#hanging.add(socket);
    return socket.once("close", () => this.#hanging.delete(socket));
  }

  #keep<T extends { readonly socket: Socket }>(set: Set<T>, entry: T): T {
    set.add(entry);
    entry.socket.once("close", () => {
      set.delete(entry);
      this.#corked.delete(entry.socket);
    });
    return entry;
  }
}
