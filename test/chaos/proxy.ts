// A door in front of one member's peer port that knows who calls: every directed link between two
// members may be held (bytes wait, as in TCP behind a dead switch), slowed, or cut (connections
// reset and refused).

import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { ByteQueue, decodeHello, helloBytes } from "../../src/peer/framing.ts";

/** What a directed link does with bytes. */
export type LinkRule =
  | { readonly kind: "hold" }
  | { readonly kind: "cut" }
  | { readonly kind: "delay"; readonly delayMs: number };

/** Bytes on their way that one direction of one connection keeps before it stops reading. */
const queuedBytesMax = 8 * 1024 * 1024;

/** The rules of all directed links of a cluster; members by name. */
export class LinkRules {
  readonly #rules = new Map<string, LinkRule>();
  readonly #names = new Map<bigint, string>();
  readonly #changed = new Set<() => void>();

  /** The name behind a member id as handshakes carry it. */
  register(id: bigint, name: string): void {
    this.#names.set(id, name);
  }

  nameOf(id: bigint | undefined): string | undefined {
    return id === undefined ? undefined : this.#names.get(id);
  }

  set(from: string, to: string, rule: LinkRule): void {
    this.#rules.set(`${from}>${to}`, rule);
    this.#notify();
  }

  clear(): void {
    this.#rules.clear();
    this.#notify();
  }

  get(from: string | undefined, to: string | undefined): LinkRule | undefined {
    return this.#rules.get(`${from}>${to}`);
  }

  onChange(listener: () => void): () => void {
    this.#changed.add(listener);
    return () => this.#changed.delete(listener);
  }

  #notify(): void {
    for (const listener of [...this.#changed]) {
      listener();
    }
  }
}

/** One direction of one connection. */
class Pipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #rule: () => LinkRule | undefined;
  readonly #queue: { readonly chunk: Uint8Array; readonly atMs: number }[] = [];
  #queuedBytes = 0;
  #ended = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, rule: () => LinkRule | undefined) {
    this.#from = from;
    this.#to = to;
    this.#rule = rule;
    from.on("data", (chunk: Uint8Array) => this.push(chunk));
    from.on("end", () => {
      this.#ended = true;
      this.drain();
    });
    to.on("drain", () => this.drain());
  }

  push(chunk: Uint8Array): void {
    this.#queue.push({ chunk, atMs: performance.now() });
    this.#queuedBytes += chunk.length;
    if (this.#queuedBytes > queuedBytesMax) {
      this.#from.pause();
    }
    this.drain();
  }

  /** Passes on what may pass now. */
  drain(): void {
    clearTimeout(this.#timer);
    for (;;) {
      const rule = this.#rule();
      const [head] = this.#queue;
      if (rule?.kind === "hold" || this.#to.destroyed || this.#to.writableNeedDrain) {
        return;
      }
      if (head === undefined) {
        break;
      }
      const waitMs = rule?.kind === "delay" ? head.atMs + rule.delayMs - performance.now() : 0;
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.drain(), waitMs);
        return;
      }
      this.#queue.shift();
      this.#queuedBytes -= head.chunk.length;
      this.#to.write(head.chunk);
      if (this.#from.isPaused() && this.#queuedBytes < queuedBytesMax / 2) {
        this.#from.resume();
      }
    }
    if (this.#ended) {
      this.#to.end();
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

/** The peer port of `member` as the others see it. */
export class PeerProxy {
  readonly #member: string;
  readonly #targetPort: number;
  readonly #rules: LinkRules;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(member: string, targetPort: number, rules: LinkRules) {
    this.#member = member;
    this.#targetPort = targetPort;
    this.#rules = rules;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  static async listen(
    port: number,
    member: string,
    targetPort: number,
    rules: LinkRules,
  ): Promise<PeerProxy> {
    const proxy = new PeerProxy(member, targetPort, rules);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once("error", reject);
      proxy.#server.listen(port, "127.0.0.1", resolve);
    });
    return proxy;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    await closed;
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
  }

  /** Reads who calls before anything is passed on. */
  #accept(socket: Socket): void {
    this.#track(socket);
    const received = new ByteQueue();
    const onData = (chunk: Uint8Array): void => {
      received.push(chunk);
      const isHttp = (received.peekU32() ?? 0) === httpGet;
      if (received.size >= helloBytes || isHttp) {
        socket.off("data", onData);
        socket.pause();
        const first = received.take(received.size) as Uint8Array;
        this.#join(socket, first, isHttp ? undefined : this.#caller(first));
      }
    };
    socket.on("data", onData);
  }

  #caller(first: Uint8Array): bigint | undefined {
    try {
      return decodeHello(first).from;
    } catch {
      return undefined;
    }
  }

  /** Names may become known only after their members have connected. */
  #join(caller: Socket, first: Uint8Array, id: bigint | undefined): void {
    const name = (): string | undefined => this.#rules.nameOf(id);
    const there = (): LinkRule | undefined => this.#rules.get(name(), this.#member);
    const back = (): LinkRule | undefined => this.#rules.get(this.#member, name());
    if (there()?.kind === "cut" || back()?.kind === "cut") {
      caller.destroy();
      return;
    }
    const target = connect(this.#targetPort, "127.0.0.1");
    this.#track(target);
    const forth = new Pipe(caller, target, there);
    const reverse = new Pipe(target, caller, back);
    const stopListening = this.#rules.onChange(() => {
      if (there()?.kind === "cut" || back()?.kind === "cut") {
        caller.destroy();
      } else {
        forth.drain();
        reverse.drain();
      }
    });
    const close = (): void => {
      stopListening();
      forth.stop();
      reverse.stop();
      caller.destroy();
      target.destroy();
    };
    caller.on("close", close);
    target.on("close", close);
    target.on("connect", () => {
      forth.push(first);
      caller.resume();
    });
  }
}

/** "GET " as a number. */
const httpGet = 0x47455420;
