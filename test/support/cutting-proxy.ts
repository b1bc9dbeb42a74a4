// A door in front of a client port: it passes bytes on, holds them as a switch does that has died,
// or cuts all connections and takes no new ones.

import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

export class CuttingProxy {
  readonly endpoint: string;
  readonly #server: Server;
  readonly #pairs: Set<readonly [Socket, Socket]>;
  readonly #state: { mode: "pass" | "hold" | "cut" };

  private constructor(
    server: Server,
    endpoint: string,
    pairs: Set<readonly [Socket, Socket]>,
    state: { mode: "pass" | "hold" | "cut" },
  ) {
    this.#server = server;
    this.endpoint = endpoint;
    this.#pairs = pairs;
    this.#state = state;
  }

  /** `target` is "127.0.0.1:port". */
  static async to(target: string): Promise<CuttingProxy> {
    const pairs = new Set<readonly [Socket, Socket]>();
    const state: { mode: "pass" | "hold" | "cut" } = { mode: "pass" };
    const [host = "", port = ""] = target.split(":");
    const server = createServer((socket) => {
      if (state.mode === "cut") {
        socket.destroy();
        return;
      }
      const onward = connect(Number(port), host);
      const pair = [socket, onward] as const;
      pairs.add(pair);
      socket.pipe(onward);
      onward.pipe(socket);
      const end = (): void => {
        pairs.delete(pair);
        socket.destroy();
        onward.destroy();
      };
      for (const one of pair) {
        one.on("error", end);
        one.on("close", end);
      }
      if (state.mode === "hold") {
        holdPair(pair);
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const endpoint = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    return new CuttingProxy(server, endpoint, pairs, state);
  }

  /** Bytes wait, in both directions, and new connections say nothing. */
  hold(): void {
    this.#state.mode = "hold";
    this.#pairs.forEach(holdPair);
  }

  /** Closes all connections and refuses new ones. */
  cut(): void {
    this.#state.mode = "cut";
    for (const [socket, onward] of this.#pairs) {
      socket.destroy();
      onward.destroy();
    }
  }

  /** Passes on again, what was held, too. */
  heal(): void {
    this.#state.mode = "pass";
    for (const [socket, onward] of this.#pairs) {
      socket.pipe(onward);
      onward.pipe(socket);
    }
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.cut();
    await closed;
  }
}

function holdPair([socket, onward]: readonly [Socket, Socket]): void {
  for (const one of [socket, onward]) {
    one.unpipe();
    one.pause();
  }
}
