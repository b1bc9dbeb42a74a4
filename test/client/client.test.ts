// Calls: time limits, and what moves on to another endpoint.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fromUtf8, grpcStatus } from "../../src/base/index.ts";
import {
  type Client,
  ClientError,
  connect,
  keyBytes,
  prefixRange,
} from "../../src/client/index.ts";
import { PutRequest, RangeRequest, RequestOp, TxnRequest } from "../../src/wire/index.ts";
import { FakeStore } from "./fake-store.ts";

const unavailable = { code: grpcStatus.unavailable, details: "etcdserver: no leader" };

let first = new FakeStore();
let second = new FakeStore();
let client: Client;
beforeEach(async () => {
  first = new FakeStore();
  second = new FakeStore();
  await Promise.all([first.start(), second.start()]);
  client = connect({ endpoints: [first.endpoint, second.endpoint], callTimeoutMs: 3_000 });
});
afterEach(() => {
  client.close();
  first.stop();
  second.stop();
});

async function errorOf(call: Promise<unknown>): Promise<ClientError> {
  try {
    await call;
  } catch (error) {
    expect(error).toBeInstanceOf(ClientError);
    return error as ClientError;
  }
  throw new Error("the call succeeded");
}

describe("a read", () => {
  it("goes to the first endpoint while that answers", async () => {
    await client.range({ key: keyBytes("a") });
    await client.range({ key: keyBytes("b") });
    expect(first.ranges.map((request) => fromUtf8(request.key))).toEqual(["a", "b"]);
    expect(second.ranges).toEqual([]);
  });

  it("moves on when an endpoint is unavailable, and stays there", async () => {
    first.onRange = () => unavailable;
    await client.range({ key: keyBytes("a") });
    await client.range({ key: keyBytes("b") });
    expect([first.ranges.length, second.ranges.length]).toEqual([1, 2]);
  });

  it("moves on when an endpoint is gone", async () => {
    first.stop();
    await client.range({ key: keyBytes("a") });
    expect(second.ranges).toHaveLength(1);
  });

  it("is not repeated after an error that another endpoint would give too", async () => {
    first.onRange = () => ({
      code: grpcStatus.outOfRange,
      details: "etcdserver: mvcc: required revision has been compacted",
    });
    const error = await errorOf(client.range({ key: keyBytes("a"), revision: 1 }));
    expect(error.code).toBe("compacted");
    expect(error.status).toBe(grpcStatus.outOfRange);
    expect(second.ranges).toEqual([]);
  });

  it("gives up at its time limit", async () => {
    first.onRange = () => unavailable;
    second.onRange = () => unavailable;
    const before = performance.now();
    const error = await errorOf(client.range({ key: keyBytes("a") }, { timeoutMs: 300 }));
    expect([grpcStatus.unavailable, grpcStatus.deadlineExceeded]).toContain(error.status);
    expect(performance.now() - before).toBeLessThan(2_000);
    expect(first.ranges.length).toBeGreaterThan(1);
  });

  it("ends when it is aborted", async () => {
    const error = await errorOf(
      client.range({ key: keyBytes("a") }, { signal: AbortSignal.abort() }),
    );
    expect(error.status).toBe(grpcStatus.cancelled);
  });
});

it("may end any number of calls by one signal, without a warning", async () => {
  const warnings: unknown[] = [];
  const listen = (warning: unknown): void => void warnings.push(warning);
  process.on("warning", listen);
  const { signal } = new AbortController();
  const key = keyBytes("a");
  await Promise.all(Array.from({ length: 30 }, () => client.range({ key }, { signal })));
  const watchers = Array.from({ length: 30 }, () => client.watch({ key }, { signal }));
  await Promise.all(watchers.map((watcher) => watcher.opened()));
  await new Promise((resolve) => setImmediate(resolve));
  process.off("warning", listen);
  expect(warnings).toEqual([]);
});

describe("balancing", () => {
  it("uses all endpoints in turn, but for those that failed a moment ago", async () => {
    client.close();
    const endpoints = [first.endpoint, second.endpoint];
    client = connect({ endpoints, balancing: "spread" });
    const key = keyBytes("a");
    for (let i = 0; i < 10; i++) {
      await client.range({ key });
    }
    expect([first.ranges.length, second.ranges.length]).toEqual([5, 5]);
    first.onRange = () => unavailable;
    for (let i = 0; i < 6; i++) {
      await client.range({ key });
    }
    expect(first.ranges.length).toBeLessThan(8);
    expect(second.ranges.length).toBe(11);
  });
});

describe("a write", () => {
  it("is not repeated once it was sent", async () => {
    first.onPut = () => unavailable;
    const error = await errorOf(client.put({ key: keyBytes("a") }));
    expect(error.code).toBe("noLeader");
    expect([first.puts.length, second.puts.length]).toEqual([1, 0]);
  });

  it("is repeated as part of a transaction only if that changes nothing", async () => {
    first.onTxn = () => unavailable;
    const read = RequestOp.create({
      request: { kind: "requestRange", value: RangeRequest.create({ key: keyBytes("a") }) },
    });
    const write = RequestOp.create({
      request: { kind: "requestPut", value: PutRequest.create({ key: keyBytes("a") }) },
    });
    const within = (op: RequestOp): RequestOp =>
      RequestOp.create({
        request: { kind: "requestTxn", value: TxnRequest.create({ failure: [op] }) },
      });
    await client.txn({ success: [read], failure: [within(read)] });
    expect([first.txns.length, second.txns.length]).toEqual([1, 1]);
    second.onTxn = () => unavailable;
    for (const op of [write, within(write)]) {
      const sent = first.txns.length + second.txns.length;
      expect((await errorOf(client.txn({ success: [read, op] }))).code).toBe("noLeader");
      expect(first.txns.length + second.txns.length).toBe(sent + 1);
    }
  });

  it("moves on when no connection could be made", async () => {
    first.stop();
    await client.put({ key: keyBytes("a"), value: keyBytes("1") });
    expect(second.puts).toHaveLength(1);
  });

  it("fails soon when no endpoint takes a connection", async () => {
    first.stop();
    second.stop();
    client.close();
    client = connect({ endpoints: [first.endpoint, second.endpoint], dialTimeoutMs: 200 });
    const error = await errorOf(client.put({ key: keyBytes("a") }));
    expect(error.status).toBe(grpcStatus.unavailable);
    expect(error.message).toContain("ECONNREFUSED");
  });
});

describe("ranges of a prefix", () => {
  it.each([
    [[0x61], [0x61], [0x62]],
    [[0x61, 0xff], [0x61, 0xff], [0x62]],
    [[0xff, 0xff], [0xff, 0xff], [0]],
    [[], [0], [0]],
  ])("%j", (prefix, key, rangeEnd) => {
    expect(prefixRange(Uint8Array.from(prefix))).toEqual({
      key: Uint8Array.from(key),
      rangeEnd: Uint8Array.from(rangeEnd),
    });
  });

  it("leaves the prefix as it is, also one in a Buffer, whose slice is no copy", () => {
    const prefix = Buffer.from("ab");
    expect(prefixRange(prefix).key.toString()).toBe("ab");
    expect(prefix.toString()).toBe("ab");
  });
});
