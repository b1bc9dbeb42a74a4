// What every implementation of the contract must do, with grpc-js as the client.

import { Metadata, status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { fromUtf8, utf8 } from "../../src/base/index.ts";
import {
  collect,
  failureOf,
  type Harness,
  kinds,
  RawClient,
  startProxy,
  startServer,
  until,
} from "./harness.ts";

const bigBytes = 1_400_000;

describe.each(kinds)("unary calls on %s", (kind) => {
  let server: Harness;
  beforeEach(async () => {
    server = await startServer(kind);
  });
  afterEach(() => server.close());

  test("a reply at once, a reply in parts, a reply later, an empty one", async () => {
    const client = server.client();
    expect(fromUtf8(await client.unary("Unary", "hello"))).toBe("hello");
    expect(fromUtf8(await client.unary("Parts", "hello"))).toBe("<hello>");
    expect(fromUtf8(await client.unary("Later", "hello"))).toBe("hello");
    expect(await client.unary("Unary", "")).toHaveLength(0);
    await until(() => server.seen.ended.length === 4);
    expect(server.seen.ended.every((end) => end.status === 0)).toBe(true);
  });

  test("messages of 1.4 MB both ways through default windows", async () => {
    const client = server.client();
    const big = new Uint8Array(bigBytes).map((_, i) => i % 253);
    const reply = await client.unary("Unary", big);
    expect(Buffer.compare(reply, big)).toBe(0);
  });

  test("messages of 1.4 MB both ways through windows of 64 KiB, three at a time", async () => {
    const client = server.client({ "grpc-node.flow_control_window": 65_535 });
    const big = new Uint8Array(bigBytes).map((_, i) => i % 253);
    const calls = [1, 2, 3].map(() => client.unary("Later", big));
    for (const reply of await Promise.all(calls)) {
      expect(Buffer.compare(reply, big)).toBe(0);
    }
  });

  test("2,000 calls at once on one connection, answered each with its own", async () => {
    const client = server.client();
    const calls = Array.from({ length: 2_000 }, (_, i) =>
      client.unary(i % 2 === 0 ? "Unary" : "Later", `call ${i}`),
    );
    const replies = await Promise.all(calls);
    replies.forEach((reply, i) => expect(fromUtf8(reply)).toBe(`call ${i}`));
  });

  test.each(["Fail", "FailLater"])("%s: status and text of a failure arrive", async (method) => {
    const client = server.client();
    const error = await failureOf(client.unary(method, "9:etcdserver: not leader"));
    expect(error.code).toBe(status.FAILED_PRECONDITION);
    expect(error.details).toBe("etcdserver: not leader");
    await until(() => server.seen.ended.length === 1);
    expect(server.seen.ended).toEqual([{ path: `/test.Echo/${method}`, status: 9 }]);
  });

  test("a text with UTF-8, percent and line ends survives percent-encoding", async () => {
    const client = server.client();
    const text = "caf\u00e9 100% \u{1F600}\r\nnext\tline ~";
    const error = await failureOf(client.unary("Fail", `3:${text}`));
    expect(error.details).toBe(text);
  });

  test("request metadata: plain, absent, binary", async () => {
    const client = server.client();
    const metadata = new Metadata();
    metadata.set("hasleader", "true");
    metadata.set("trace-bin", Buffer.from([0, 1, 0xfe, 0xff]));
    const ask = (name: string): Promise<Buffer> => client.unary("Metadata", name, {}, metadata);
    expect(fromUtf8(await ask("hasleader"))).toBe("true");
    expect(fromUtf8(await ask("nothing"))).toBe("(none)");
    expect(fromUtf8(await ask("trace-bin"))).toBe("\u0000\u0001\u00fe\u00ff");
    expect(fromUtf8(await ask("user-agent"))).toContain("grpc-node-js");
  });

  test("an unknown method and an unknown service are UNIMPLEMENTED", async () => {
    const client = server.client();
    for (const path of ["/test.Echo/Nothing", "/test.None/Unary"]) {
      const error = await failureOf(client.unary(path, "x"));
      expect(error.code).toBe(status.UNIMPLEMENTED);
    }
  });
});

describe.each(kinds)("limits, deadlines and cancellation on %s", (kind) => {
  let server: Harness;
  beforeEach(async () => {
    server = await startServer(kind, { receiveMessageBytesMax: 1_000 });
  });
  afterEach(() => server.close());

  test("a message of the largest size passes, one byte more is RESOURCE_EXHAUSTED", async () => {
    const client = server.client();
    expect(await client.unary("Unary", new Uint8Array(1_000))).toHaveLength(1_000);
    const error = await failureOf(client.unary("Unary", new Uint8Array(1_001)));
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(error.details).toMatch(/received message larger than max \(1001 vs\.? 1000\)/i);
    expect(await client.unary("Unary", new Uint8Array(10))).toHaveLength(10);
  });

  test("a deadline passes: the client gets DEADLINE_EXCEEDED, the handler hears of it", async () => {
    const client = server.client();
    const error = await failureOf(client.unary("Hang", "x", { deadline: Date.now() + 100 }));
    expect(error.code).toBe(status.DEADLINE_EXCEEDED);
    await until(() => server.seen.cancelled.length === 1);
    const call = server.seen.calls[0];
    expect(call?.cancelled).toBe(true);
    expect(call?.deadlineMs).toBeGreaterThan(performance.now() - 5_000);
    expect(call?.deadlineMs).toBeLessThan(performance.now() + 200);
    let late = 0;
    call?.onCancel(() => late++);
    expect(late).toBe(1);
    await until(() => server.seen.ended.length === 1);
    expect([1, 4]).toContain(server.seen.ended[0]?.status);
  });

  test("without a deadline there is none", async () => {
    const client = server.client();
    const stream = client.stream("Control");
    stream.on("error", () => {});
    stream.write(utf8("x"));
    await until(() => server.seen.streams.length === 1);
    expect(server.seen.streams[0]?.deadlineMs).toBeUndefined();
    expect(server.seen.streams[0]?.peer.address).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(server.seen.streams[0]?.peer.certificateCommonName).toBeUndefined();
    stream.cancel();
  });

  test("a client's cancel reaches the handler once", async () => {
    const client = server.client();
    // Node's client half-closes before it resets, so the handler must not end at half-close.
    const stream = client.stream("Control");
    const done = collect(stream);
    stream.write(utf8("x"));
    await until(() => server.seen.calls.length === 1);
    stream.cancel();
    expect((await done).code).toBe(status.CANCELLED);
    await until(() => server.seen.cancelled.length === 1);
    await until(() => server.seen.ended.length === 1);
    expect(server.seen.ended[0]?.status).toBe(1);
  });

  test("a client that goes away cancels its calls", async () => {
    const proxy = await startProxy(server.portNumber);
    const client = new RawClient(proxy.address);
    client
      .stream("Control")
      .on("error", () => {})
      .write(utf8("x"));
    client
      .stream("Control")
      .on("error", () => {})
      .write(utf8("x"));
    await until(() => server.seen.calls.length === 2);
    proxy.cut();
    await until(() => server.seen.cancelled.length === 2);
    proxy.close();
    client.close();
  });
});

describe.each(kinds)("streams on %s", (kind) => {
  let server: Harness;
  beforeEach(async () => {
    server = await startServer(kind);
  });
  afterEach(() => server.close());

  test("client streaming: many messages, one answer at half-close", async () => {
    const stream = server.client().stream("Upload");
    const done = collect(stream);
    for (let i = 0; i < 500; i++) {
      stream.write(new Uint8Array(i));
    }
    stream.end();
    const { messages, code } = await done;
    expect(code).toBe(status.OK);
    expect(messages.map(fromUtf8)).toEqual([`500:${(499 * 500) / 2}`]);
  });

  test("server streaming: order, sizes, status", async () => {
    const stream = server.client().stream("Download");
    const done = collect(stream);
    stream.write(utf8("300:10000"));
    stream.end();
    const { messages, code } = await done;
    expect(code).toBe(status.OK);
    expect(messages).toHaveLength(300);
    messages.forEach((message, i) => {
      expect(message).toHaveLength(10_000);
      expect(message[0]).toBe(i % 251);
      expect(message[9_999]).toBe(i % 251);
    });
  });

  test("server streaming of messages of 1.4 MB", async () => {
    const stream = server.client().stream("Download");
    const done = collect(stream);
    stream.write(utf8(`10:${bigBytes}`));
    const { messages, code } = await done;
    expect(code).toBe(status.OK);
    expect(messages.map((message) => message.length)).toEqual(Array(10).fill(bigBytes));
  });

  test("bidi: each message echoed while both sides are open, then half-close", async () => {
    const stream = server.client().stream("Chat");
    const got: string[] = [];
    const done = collect(stream);
    stream.on("data", (message: Buffer) => {
      got.push(fromUtf8(message));
      if (got.length < 50) {
        stream.write(utf8(`m${got.length}`));
      } else {
        stream.end();
      }
    });
    stream.write(utf8("m0"));
    expect((await done).code).toBe(status.OK);
    expect(got).toEqual(Array.from({ length: 50 }, (_, i) => `m${i}`));
  });

  test("a failure after a message, and one before any", async () => {
    const client = server.client();
    const stream = client.stream("FailStream");
    const done = collect(stream);
    stream.write(utf8("one"));
    const after = await done;
    expect(after.messages.map(fromUtf8)).toEqual(["one"]);
    expect([after.code, after.details]).toEqual([status.FAILED_PRECONDITION, "after one"]);

    const refused = await collect(client.stream("RefuseStream"));
    expect(refused).toEqual({
      messages: [],
      code: status.PERMISSION_DENIED,
      details: "not you",
    });
  });

  test("the server ends while the client is still sending", async () => {
    const stream = server.client().stream("Control");
    const done = collect(stream);
    stream.write(utf8("x"));
    await until(() => server.seen.streams.length === 1);
    const call = server.seen.streams[0];
    call?.write(utf8("last"));
    call?.end();
    call?.end();
    call?.write(utf8("too late"));
    const { messages, code } = await done;
    expect(code).toBe(status.OK);
    expect(messages.map(fromUtf8)).toEqual(["last"]);
    expect(server.seen.cancelled).toEqual([]);
  });

  test("back-pressure: write says false, drain comes when the client reads again", async () => {
    const stream = server.client().stream("Control");
    stream.on("error", () => {});
    stream.pause();
    stream.write(utf8("x"));
    await until(() => server.seen.streams.length === 1);
    const call = server.seen.streams[0];
    if (call === undefined) {
      throw new Error("no call");
    }
    let drained = 0;
    call.onDrain(() => drained++);
    let written = 0;
    while (call.write(new Uint8Array(64 * 1024))) {
      written++;
      await new Promise((resolve) => setImmediate(resolve));
      expect(written).toBeLessThan(2_000);
    }
    expect(call.queuedBytes).toBeGreaterThan(0);
    expect(drained).toBe(0);
    let received = 0;
    stream.on("data", () => received++);
    stream.resume();
    await until(() => drained === 1);
    await until(() => received === written + 1);
    expect(call.queuedBytes).toBe(0);
    call.end();
  });

  test("pause stops messages, and the client's window with them; resume brings all", async () => {
    const stream = server.client().stream("Control");
    stream.on("error", () => {});
    stream.on("data", () => {});
    stream.write(utf8("first"));
    await until(() => server.seen.streams.length === 1);
    const call = server.seen.streams[0];
    if (call === undefined) {
      throw new Error("no call");
    }
    let got = 0;
    let halfClosed = false;
    call.onMessage(() => {
      got++;
      if (got === 1) {
        call.pause();
      }
    });
    call.onHalfClose(() => {
      halfClosed = true;
    });
    await until(() => got === 1);
    let sent = 0;
    const total = 400;
    for (let i = 0; i < total; i++) {
      stream.write(new Uint8Array(32 * 1024), () => sent++);
    }
    stream.end();
    // Far more than any window: the client cannot have sent it all.
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(got).toBeLessThan(20);
    expect(sent).toBeLessThan(total);
    expect(halfClosed).toBe(false);
    call.resume();
    await until(() => got === total + 1);
    await until(() => halfClosed);
    call.end();
  });
});

describe.each(kinds)("the end of a server on %s", (kind) => {
  test("close lets a running call finish and refuses new ones", async () => {
    const server = await startServer(kind);
    const client = server.client();
    const stream = client.stream("Chat");
    const done = collect(stream);
    stream.write(utf8("one"));
    await until(() => server.seen.calls.length === 1);
    const closed = server.port.close(5_000);
    stream.write(utf8("two"));
    stream.end();
    const { messages, code } = await done;
    expect(code).toBe(status.OK);
    expect(messages.map(fromUtf8)).toEqual(["one", "two"]);
    await closed;
    const error = await failureOf(client.unary("Unary", "x"));
    expect(error.code).toBe(status.UNAVAILABLE);
    client.close();
  });

  test("close cuts what is left after its grace", async () => {
    const server = await startServer(kind);
    const client = server.client();
    const done = collect(client.stream("Control"));
    await until(() => server.seen.streams.length === 1);
    const startedMs = performance.now();
    await server.port.close(100);
    expect(performance.now() - startedMs).toBeLessThan(3_000);
    expect((await done).code).not.toBe(status.OK);
    await until(() => server.seen.cancelled.length === 1);
    client.close();
  });

  test("server keep-alive pings keep an idle stream alive", async () => {
    const server = await startServer(kind, { keepAliveIntervalMs: 50, keepAliveTimeoutMs: 2_000 });
    const stream = server.client().stream("Chat");
    const done = collect(stream);
    stream.write(utf8("one"));
    await new Promise((resolve) => setTimeout(resolve, 300));
    stream.end();
    expect((await done).code).toBe(status.OK);
    await server.close();
  });
});
