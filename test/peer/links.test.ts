import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { DecodeError, fromUtf8, utf8, writeU32 } from "../../src/base/index.ts";
import type { ClusterId, MemberId } from "../../src/base/index.ts";
import { PeerError } from "../../src/peer/index.ts";
import {
  decodeReply,
  encodeHello,
  encodeReply,
  frameHead,
  frameKinds,
} from "../../src/peer/framing.ts";
import {
  clusterId,
  connected,
  frame,
  introduce,
  rawSocket,
  startMember,
  until,
} from "./peer-fixtures.ts";

function hello(over: Partial<Parameters<typeof encodeHello>[0]> = {}): Uint8Array {
  const base = {
    version: 1,
    purpose: "messages",
    clusterId,
    from: 9n as MemberId,
    to: 1n as MemberId,
  } as const;
  return encodeHello({ ...base, ...over });
}

/** The verdict that a member gives to `bytes`. */
async function verdictOn(url: string, bytes: Uint8Array): Promise<string | undefined> {
  const socket = await rawSocket(url);
  socket.write(bytes);
  const [reply] = (await once(socket, "data")) as [Uint8Array];
  return decodeReply(reply);
}

describe("frames", () => {
  test("arrive in order, whatever their size", async () => {
    const [a, b] = [await startMember(1), await startMember(2)];
    introduce(a, b);
    const sent: string[] = [];
    for (let i = 0; i < 300; i++) {
      const text = `${i} ${"x".repeat(i % 50 === 0 ? 300_000 : i)}`;
      a.network.send(b.id, frame(text, i & 0xff));
      sent.push(`1:${i & 0xff}:${text}`);
      if (i % 60 === 0) {
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    await until(() => b.frames.length === sent.length);
    expect(b.frames).toEqual(sent);
    expect(a.unreachable).toEqual([]);
  });

  test("reach a caller that is on no list, on the caller's own link", async () => {
    const [a, b] = [await startMember(1), await startMember(2)];
    a.network.setPeers([{ id: b.id, urls: [b.url] }]);
    a.network.send(b.id, frame("hello"));
    await until(() => b.frames.length === 1);
    b.network.send(a.id, frame("and back", 9));
    await until(() => a.frames.length === 1);
    expect(a.frames).toEqual(["2:9:and back"]);
    expect(b.counts.sendFailed).toBe(0);
  });

  test("of one turn leave in one write, their parts joined", async () => {
    const chunks: Uint8Array[] = [];
    const server = createServer((socket) => {
      socket.once("data", () => {
        socket.on("data", (chunk) => chunks.push(chunk));
        socket.write(encodeReply(undefined));
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const a = await startMember(1);
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    a.network.setPeers([{ id: 2n as MemberId, urls: [url] }]);
    await until(() => chunks.length === 1);
    chunks.length = 0;
    const before = a.counts.sent;
    for (const text of ["one", "two", "three"]) {
      a.network.send(2n as MemberId, { type: 7, parts: [utf8(text), utf8("!")], droppable: true });
    }
    await until(() => chunks.length > 0);
    expect(a.counts.sent).toBe(before + 1);
    expect(chunks.map((chunk) => chunk.length)).toEqual([3 * 6 + 3 + 3 + 5 + 3]);
  });

  test("sent while the first connection is being made are not lost", async () => {
    const [a, b] = [await startMember(1), await startMember(2)];
    introduce(a, b);
    a.network.send(b.id, frame("early"));
    await until(() => b.frames.length === 1);
  });

  test("to nobody are dropped and told", async () => {
    const [a, b] = [await startMember(1), await startMember(2)];
    introduce(a, b);
    await connected(a, b);
    await b.network.close();
    await until(() => a.unreachable.length > 0);
    a.network.send(b.id, frame("lost"));
    expect(a.counts.sendFailed).toBeGreaterThan(0);
    const told = a.unreachable.length;
    await until(() => a.unreachable.length > told);
    a.network.send(77n as MemberId, frame("to a stranger"));
  });

  test("go on after the peer was started again", async () => {
    const [a, b] = [await startMember(1), await startMember(2)];
    introduce(a, b);
    await connected(a, b);
    const port = Number(new URL(b.url).port);
    await b.network.close();
    await until(() => !a.network.links()[0]?.connected);
    const again = await startMember(2, { port });
    introduce(a, again);
    await connected(a, again);
    a.network.send(again.id, frame("hello again"));
    await until(() => again.frames.includes("1:1:hello again"));
  });

  test("a peer that does not read loses what may be lost, and memory stays bounded", async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.once("data", () => {
        socket.pause();
        socket.write(encodeReply(undefined));
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => {
      sockets.forEach((socket) => socket.destroy());
      server.close();
    });
    const a = await startMember(1);
    const to = 2n as MemberId;
    a.network.setPeers([
      { id: to, urls: [`http://127.0.0.1:${(server.address() as AddressInfo).port}`] },
    ]);
    await until(() => a.network.links()[0]?.connected === true);
    const large = { type: 1, parts: [new Uint8Array(1 << 20)], droppable: true };
    for (let i = 0; i < 100; i++) {
      a.network.send(to, large);
    }
    expect(a.counts.sendFailed).toBeGreaterThan(0);
    expect(a.network.links()[0]?.queuedBytes).toBeLessThan(70 << 20);
    await until(() => a.unreachable.length > 0);
    // It answers no pings either, so it is given up.
    await until(() => a.network.links()[0]?.connected === false);
    expect(a.network.links()[0]?.queuedBytes).toBe(0);
  });
});

describe("the handshake", () => {
  test("refuses with a reason, which is counted", async () => {
    const a = await startMember(1);
    a.removed.add(8n as MemberId);
    expect(await verdictOn(a.url, hello())).toBeUndefined();
    expect(await verdictOn(a.url, hello({ version: 2 }))).toBe("protocolVersion");
    expect(await verdictOn(a.url, hello({ clusterId: 5n as ClusterId }))).toBe("clusterId");
    expect(await verdictOn(a.url, hello({ to: 3n as MemberId }))).toBe("memberId");
    expect(await verdictOn(a.url, hello({ from: 1n as MemberId }))).toBe("memberId");
    expect(await verdictOn(a.url, hello({ from: 8n as MemberId }))).toBe("removed");
    expect(await verdictOn(a.url, utf8("GET / HTTP/1.1\r\nhost: somewhere\r\n\r\n"))).toBe(
      "malformed",
    );
    expect(a.counts.refused).toBe(6);
  });

  test("tells a member of another cluster, and a removed one", async () => {
    const a = await startMember(1);
    const stranger = await startMember(2, { clusterId: 5n as ClusterId });
    stranger.network.setPeers([{ id: a.id, urls: [a.url] }]);
    await until(() => stranger.refused.length > 0);
    expect(stranger.refused[0]).toBe("clusterId");
    const removed = await startMember(3);
    a.removed.add(removed.id);
    removed.network.setPeers([{ id: a.id, urls: [a.url] }]);
    await until(() => removed.refused.length > 0);
    expect(removed.refused[0]).toBe("removed");
    expect(a.frames).toEqual([]);
  });

  test("a caller that says nothing keeps nothing", async () => {
    const a = await startMember(1);
    const silent = await rawSocket(a.url);
    const started = performance.now();
    await once(silent, "close");
    expect(performance.now() - started).toBeLessThan(6000);
  });

  test("a member that is no longer named is cut off", async () => {
    const [a, b] = [await startMember(1), await startMember(2)];
    introduce(a, b);
    await connected(a, b);
    await connected(b, a);
    b.removed.add(a.id);
    b.network.setPeers([]);
    await until(() => a.refused.includes("removed"));
    expect(b.network.links()).toEqual([]);
  });
});

describe("nonsense on a link", () => {
  async function welcomed(url: string): Promise<Socket> {
    const socket = await rawSocket(url);
    socket.on("error", () => undefined);
    socket.write(hello());
    await once(socket, "data");
    return socket;
  }

  function frameOf(kind: 1 | 2 | 3 | 7, body: Uint8Array): Uint8Array {
    const head = frameHead(kind);
    writeU32(head, 0, 1 + body.length);
    return Buffer.concat([head, body]);
  }

  test.each([
    ["a frame too long", new Uint8Array([0xff, 0xff, 0xff, 0xff, 1])],
    ["an empty frame", new Uint8Array([0, 0, 0, 0])],
    ["a frame of an unknown kind", new Uint8Array([0, 0, 0, 1, 99])],
    ["a message without a type", frameOf(frameKinds.message, new Uint8Array(0))],
    ["a call cut short", frameOf(frameKinds.request, new Uint8Array(3))],
    ["an answer to nothing", frameOf(frameKinds.response, new Uint8Array(4))],
    ["a state transfer on a message link", frameOf(frameKinds.snapshotHeader, utf8("x"))],
  ])("%s drops it", async (_what, bytes) => {
    const a = await startMember(1);
    const socket = await welcomed(a.url);
    socket.write(bytes);
    await once(socket, "close");
    expect(a.counts.receiveFailed).toBe(1);
  });

  test("a DecodeError of the handler drops it, and the next one works", async () => {
    const b = await startMember(2, {
      overrides: {
        onFrame: () => {
          throw new DecodeError("not a raft message");
        },
      },
    });
    const a = await startMember(1);
    introduce(a, b);
    await connected(a, b);
    a.network.send(b.id, frame("nonsense"));
    await until(() => a.unreachable.length > 0);
    await connected(a, b);
    expect(b.counts.receiveFailed).toBe(1);
  });

  test("a frame in many small pieces is put together", async () => {
    const a = await startMember(1);
    const socket = await welcomed(a.url);
    socket.setNoDelay(true);
    const bytes = frameOf(frameKinds.message, utf8("\u0005in pieces"));
    for (let i = 0; i < 3; i++) {
      for (const byte of bytes) {
        socket.write(new Uint8Array([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    await until(() => a.frames.length === 3);
    expect(a.frames).toEqual(Array(3).fill("9:5:in pieces"));
  });
});

describe("calls", () => {
  test("are answered, many at once and out of order", async () => {
    const b = await startMember(2, {
      overrides: {
        onRequest: async (from, kind, body) => {
          await new Promise((resolve) => setTimeout(resolve, body[0] === 0x30 ? 30 : 0));
          return utf8(`${from} ${kind} ${body.length}`);
        },
      },
    });
    const a = await startMember(1);
    introduce(a, b);
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => a.network.request(b.id, i, utf8(`${i}`), 5000)),
    );
    expect(answers.map(fromUtf8)).toEqual(
      Array.from({ length: 50 }, (_, i) => `1 ${i} ${String(i).length}`),
    );
  });

  test("fail with the other side's words, in time, or when nobody is there", async () => {
    const b = await startMember(2, {
      overrides: {
        onRequest: (_from, kind) =>
          kind === 1 ? Promise.reject(new Error("not the leader")) : new Promise(() => undefined),
      },
    });
    const a = await startMember(1);
    introduce(a, b);
    await connected(a, b);
    const reasonOf = (call: Promise<Uint8Array>): Promise<string> =>
      call.then(
        () => "answered",
        (error: unknown) =>
          error instanceof PeerError ? `${error.reason}: ${error.message}` : "?",
      );
    const body = new Uint8Array(0);
    expect(await reasonOf(a.network.request(b.id, 1, body, 5000))).toBe("failed: not the leader");
    expect(await reasonOf(a.network.request(b.id, 2, body, 50))).toMatch(/^timeout/);
    expect(await reasonOf(a.network.request(5n as MemberId, 2, body, 50))).toMatch(/^unreachable/);
    const waiting = reasonOf(a.network.request(b.id, 2, body, 10_000));
    await b.network.close();
    expect(await waiting).toMatch(/^unreachable/);
  });

  test("fail when this side closes", async () => {
    const b = await startMember(2, {
      overrides: { onRequest: () => new Promise(() => undefined) },
    });
    const a = await startMember(1);
    introduce(a, b);
    await connected(a, b);
    const waiting = a.network.request(b.id, 1, new Uint8Array(0), 10_000);
    const outcome = waiting.catch((error: unknown) => error);
    await a.network.close();
    expect(await outcome).toBeInstanceOf(PeerError);
    await a.network.close();
  });
});

describe("a link", () => {
  test("measures its round trip", async () => {
    const [a, b] = [await startMember(1), await startMember(2)];
    introduce(a, b);
    await until(() => a.network.links()[0]?.roundTripMs !== undefined);
    const [status] = a.network.links();
    expect(status?.roundTripMs).toBeLessThan(1000);
    expect(status?.lastReceivedAtMs).toBeGreaterThan(0);
    expect(a.counts.roundTrip).toBeGreaterThan(0);
  });

  test("tries the next URL when one does not answer", async () => {
    const [a, b] = [await startMember(1), await startMember(2)];
    a.network.setPeers([{ id: b.id, urls: ["http://127.0.0.1:1", b.url] }]);
    await connected(a, b);
  });

  test("a port that is taken is an error of start", async () => {
    const a = await startMember(1);
    await expect(startMember(2, { port: Number(new URL(a.url).port) })).rejects.toThrow(
      "EADDRINUSE",
    );
  });
});
