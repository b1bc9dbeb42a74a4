// Servers that are there and say nothing: what is asked of another, and when a connection is dead.

import { createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import {
  type Client,
  ClientClosedError,
  connect,
  DeadlineExceededError,
  keyBytes,
  UnavailableError,
} from "../../src/client/index.ts";
import { ResponseHeader } from "../../src/wire/index.ts";
import { CuttingProxy } from "../support/cutting-proxy.ts";
import { FakeStore } from "./fake-store.ts";

let first: FakeStore;
let second: FakeStore;
let proxy: CuttingProxy;
const clients: Client[] = [];

beforeEach(async () => {
  first = new FakeStore();
  second = new FakeStore();
  await Promise.all([first.start(), second.start()]);
  proxy = await CuttingProxy.to(first.endpoint);
});
afterEach(async () => {
  for (const client of clients.splice(0)) {
    client.close();
  }
  await proxy.close();
  first.stop();
  second.stop();
});

function client(endpoints: readonly string[], options: object = {}): Client {
  const made = connect({ endpoints, callTimeoutMs: 3_000, ...options });
  clients.push(made);
  return made;
}

async function errorOf(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error("the call succeeded");
}

it("asks a second endpoint when a read has no answer by half its time", async () => {
  const both = client([proxy.endpoint, second.endpoint], { callTimeoutMs: 2_000 });
  await both.range({ key: keyBytes("a") });
  proxy.hold();
  await both.range({ key: keyBytes("b") });
  expect(second.ranges).toHaveLength(1);
  // The next ones do not wait for the first endpoint again.
  const before = performance.now();
  await both.range({ key: keyBytes("c") });
  expect(performance.now() - before).toBeLessThan(1_000);
  expect(second.ranges).toHaveLength(2);
});

it("never sends a write twice, and goes elsewhere with the next one", async () => {
  const both = client([proxy.endpoint, second.endpoint], { callTimeoutMs: 500 });
  await both.put({ key: keyBytes("a") });
  proxy.hold();
  const error = await errorOf(both.put({ key: keyBytes("b") }));
  expect(error).toBeInstanceOf(DeadlineExceededError);
  expect((error as DeadlineExceededError).uncertain).toBe(true);
  expect((error as DeadlineExceededError).endpoint).toBe(proxy.endpoint);
  await both.put({ key: keyBytes("c") });
  expect(second.puts).toHaveLength(1);
});

it("moves a watch on when its connection is dead though nobody has closed it", async () => {
  const header = (revision: number): ResponseHeader => ResponseHeader.create({ revision });
  first.onWatch = (watch) => watch.reply({ created: true, header: header(4) });
  second.onWatch = (watch) => watch.reply({ created: true, header: header(9) });
  const both = client([proxy.endpoint, second.endpoint], {
    pingIntervalMs: 200,
    pingTimeoutMs: 200,
  });
  const watcher = both.watch({ key: keyBytes("k") });
  await watcher.opened();
  proxy.hold();
  await expect.poll(() => second.watches.length, { timeout: 10_000 }).toBe(1);
  expect(second.watches[0]?.request.startRevision).toBe(5);
});

it("goes to another endpoint when no connection comes about", async () => {
  // Takes connections and says nothing, as a machine does that hangs.
  const sockets = new Set<Socket>();
  const mute: Server = createServer((socket) => sockets.add(socket));
  const port = await new Promise<number>((resolve) =>
    mute.listen(0, "127.0.0.1", () => resolve((mute.address() as { port: number }).port)),
  );
  const both = client([`127.0.0.1:${port}`, second.endpoint], { dialTimeoutMs: 1_000 });
  // A write, too: it was certainly not sent.
  await both.put({ key: keyBytes("a") });
  expect(second.puts).toHaveLength(1);
  await both.watch({ key: keyBytes("k") }).opened();
  expect(second.watches).toHaveLength(1);
  const alone = client([`127.0.0.1:${port}`], { dialTimeoutMs: 300 });
  const error = await errorOf(alone.put({ key: keyBytes("a") }));
  expect(error).toBeInstanceOf(UnavailableError);
  expect((error as UnavailableError).uncertain).toBe(false);
  for (const socket of sockets) {
    socket.destroy();
  }
  mute.close();
});

it("makes the server wait while a watch is not read", async () => {
  const value = new Uint8Array(32 * 1024);
  const events = [{ type: 0, kv: undefined, prevKv: undefined }];
  let accepted = 0;
  first.onWatch = (watch) => {
    watch.reply({ created: true, header: ResponseHeader.create({ revision: 1 }) });
    const cancelReason = Buffer.from(value).toString("latin1");
    const send = (): void => {
      // Until the transport says that it has enough.
      while (accepted < 1_000 && watch.reply({ events, cancelReason })) {
        accepted++;
      }
      if (accepted < 1_000) {
        watch.onDrain(send);
      }
    };
    send();
  };
  const watcher = client([first.endpoint]).watch({ key: keyBytes("k") });
  await watcher.opened();
  let seen = -1;
  await expect
    .poll(
      () => {
        const same = seen === accepted;
        seen = accepted;
        return same && accepted > 0;
      },
      { interval: 250, timeout: 10_000 },
    )
    .toBe(true);
  expect(accepted).toBeLessThan(600);
  let read = 0;
  for await (const reply of watcher) {
    expect(reply.events).toHaveLength(1);
    if (++read === 1_000) {
      break;
    }
  }
});

it("has nothing unheard when it is closed in the middle of everything", async () => {
  const unheard: unknown[] = [];
  const listen = (reason: unknown): void => void unheard.push(reason);
  process.on("unhandledRejection", listen);
  const both = client([proxy.endpoint, second.endpoint]);
  await both.range({ key: keyBytes("a") });
  proxy.hold();
  const calls = [
    errorOf(both.range({ key: keyBytes("a") })),
    errorOf(both.put({ key: keyBytes("a") })),
    errorOf(both.leaseKeepAliveOnce(7n)),
  ];
  const watcher = both.watch({ key: keyBytes("k") });
  await new Promise((resolve) => setTimeout(resolve, 50));
  const before = performance.now();
  both.close();
  for (const error of await Promise.all(calls)) {
    expect(error).toBeInstanceOf(ClientClosedError);
  }
  expect(performance.now() - before).toBeLessThan(1_500);
  expect(await errorOf(both.put({ key: keyBytes("a") }))).toBeInstanceOf(ClientClosedError);
  expect(await errorOf(watcher.opened())).toBeInstanceOf(Error);
  await new Promise((resolve) => setTimeout(resolve, 50));
  process.off("unhandledRejection", listen);
  expect(unheard).toEqual([]);
});
