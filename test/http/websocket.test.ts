// The gateway over WebSockets: streams that take requests while they live, and clients that break
// the protocol.

import { type AddressInfo, createServer, type Server } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type GrpcStatus, SeededRng, silentLogger, utf8 } from "../../src/base/index.ts";
import { createHttpDoor, type HttpDoor } from "../../src/http/index.ts";
import {
  encodeFrame,
  opcode,
  WebSocketError,
  WebSocketReader,
} from "../../src/http/websocket-frames.ts";
import { makeWorld, type World } from "../api/harness.ts";
import { until } from "../grpc/harness.ts";
import { clientFrame, WebSocketClient } from "./websocket-client.ts";

const bodyBytesMax = 100_000;

let world: World;
let door: HttpDoor;
let port: Server;
let portNumber: number;
let ended: [string, GrpcStatus][];
let clients: WebSocketClient[];

beforeEach(async () => {
  world = makeWorld();
  ended = [];
  clients = [];
  door = createHttpDoor({
    handle: world.node,
    metrics: world.metrics,
    logger: silentLogger,
    versions: { etcdServer: "3.6.7", etcdCluster: "3.6.0", storage: "3.6.0", quorate: "0.1.0" },
    bodyBytesMax,
    gateway: {
      services: world.api.services,
      onCallEnd: (path, status) => ended.push([path, status]),
    },
    access: { corsOrigins: ["https://console.example"], hostNames: ["127.0.0.1"] },
  });
  door.server.emit("listening");
  port = createServer((socket) => door.server.emit("connection", socket));
  await new Promise<void>((resolve) => port.listen(0, "127.0.0.1", resolve));
  portNumber = (port.address() as AddressInfo).port;
});

afterEach(async () => {
  for (const client of clients) {
    client.destroy();
  }
  door.close();
  door.server.close();
  door.server.closeAllConnections();
  await new Promise((resolve) => port.close(resolve));
});

async function open(path: string, headers: readonly string[] = []): Promise<WebSocketClient> {
  const client = await WebSocketClient.open(portNumber, path, headers);
  clients.push(client);
  return client;
}

function put(key: string): void {
  world.node.store.put(utf8(key), utf8("1"), 0n);
  world.node.commit();
}

describe("a watch", () => {
  it("takes further requests, and a message is an answer", async () => {
    const client = await open("/v3/watch");
    expect(client.status).toBe(101);
    expect(client.head).toContain(`Sec-WebSocket-Accept: ${client.expectedAccept}`);
    client.send({ create_request: { key: "YQ==" } });
    await until(() => client.messages.length === 1);
    put("a");
    await until(() => client.messages.length === 2);
    client.send({ create_request: { key: "Yg==" } });
    await until(() => client.messages.length === 3);
    put("b");
    await until(() => client.messages.length === 4);
    client.send({ cancel_request: { watch_id: "0" } });
    await until(() => client.messages.length === 5);
    expect(client.messages).toMatchObject([
      { result: { created: true } },
      { result: { events: [{ kv: { key: "YQ==", mod_revision: "2" } }] } },
      { result: { created: true, watch_id: "1" } },
      { result: { watch_id: "1", events: [{ kv: { key: "Yg==" } }] } },
      { result: { canceled: true } },
    ]);
  });

  it("ends with its client, whether it says goodbye or not", async () => {
    const polite = await open("/v3/watch");
    polite.send({ create_request: { key: "YQ==" } });
    await until(() => polite.messages.length === 1);
    polite.write(clientFrame(opcode.close, Buffer.from([0x03, 0xe8])));
    await until(() => polite.closed);
    expect(polite.closeCode).toBe(1000);
    const rude = await open("/v3beta/watch");
    rude.send({ create_request: { key: "YQ==" } });
    await until(() => rude.messages.length === 1);
    rude.destroy();
    const end = ["/etcdserverpb.Watch/Watch", 1];
    await until(() => ended.length === 2);
    expect(ended).toEqual([end, end]);
  });

  it("fails with an error in its place when a request is none", async () => {
    const client = await open("/v3/watch");
    client.send({ create_request: { key: 7 } });
    await until(() => client.closed);
    expect(client.messages).toMatchObject([{ error: { code: 3 } }]);
    expect(client.closeCode).toBe(1000);
  });
});

describe("a call with one answer", () => {
  it("gets it, and is over", async () => {
    put("a");
    const client = await open("/v3/kv/range");
    client.send({ key: "YQ==" });
    await until(() => client.closed);
    expect(client.messages).toMatchObject([{ kvs: [{ key: "YQ==", value: "MQ==" }] }]);
    const failed = await open("/v3/kv/range");
    failed.send({});
    await until(() => failed.closed);
    expect(failed.messages).toMatchObject([{ code: 3 }]);
  });

  it("takes its token from the protocol, since browsers can set no headers", async () => {
    const tokens: (string | undefined)[] = [];
    const range = world.api.services.find(({ name }) => name === "etcdserverpb.KV")?.methods[
      "Range"
    ];
    if (range?.kind !== "unary") {
      throw new Error("no Range");
    }
    const { handle } = range;
    Object.assign(range, {
      handle: (...args: Parameters<typeof handle>) => {
        tokens.push(args[1].metadata("authorization"));
        return handle(...args);
      },
    });
    const client = await open("/v3/kv/range", ["Sec-WebSocket-Protocol: Bearer, abc.1"]);
    expect(client.head).toContain("Sec-WebSocket-Protocol: Bearer\r\n".trim());
    client.send({ key: "YQ==" });
    await until(() => tokens.length === 1);
    expect(tokens).toEqual(["Bearer abc.1"]);
  });
});

describe("the door", () => {
  it("opens for known paths, hosts and pages alone", async () => {
    expect((await open("/v3/nope")).status).toBe(404);
    expect((await open("/health")).status).toBe(404);
    expect((await open("/v3/watch", ["Origin: https://evil.example"])).status).toBe(403);
    expect((await open("/v3/watch", ["Origin: https://console.example"])).status).toBe(101);
    const rebound = await fetch(`http://localhost:${portNumber}/health`);
    expect(rebound.status).toBe(421);
    expect(await rebound.text()).toContain('etcd --host-whitelist "localhost"');
  });

  it("answers pages by the list of origins", async () => {
    const corsOf = async (origin: string, method = "GET"): Promise<string | null> => {
      const url = `http://127.0.0.1:${portNumber}/version`;
      const response = await fetch(url, { method, headers: { origin } });
      return response.headers.get("access-control-allow-origin");
    };
    expect(await corsOf("https://console.example")).toBe("https://console.example");
    expect(await corsOf("https://console.example", "OPTIONS")).toBe("https://console.example");
    expect(await corsOf("https://evil.example")).toBeNull();
  });

  it("shows memory and raft at /debug/vars", async () => {
    const response = await fetch(`http://127.0.0.1:${portNumber}/debug/vars`);
    expect(await response.json()).toMatchObject({
      memstats: { Sys: expect.any(Number) as number },
      "raft.status": { raftState: "StateLeader" },
    });
  });
});

describe("the protocol", () => {
  it("allows parts, pings between them, and long messages", async () => {
    const client = await open("/v3/kv/put");
    const value = Buffer.alloc(60_000, 7).toString("base64");
    const text = Buffer.from(JSON.stringify({ key: "YQ==", value }));
    client.write(clientFrame(opcode.text, text.subarray(0, 10), { isFinal: false }));
    client.write(clientFrame(opcode.ping, Buffer.from("ping")));
    await until(() => client.frames.length === 1);
    expect(client.frames[0]).toEqual({ code: opcode.pong, body: Buffer.from("ping") });
    const rest = clientFrame(opcode.continuation, text.subarray(10));
    for (let at = 0; at < rest.length; at += 7_001) {
      client.write(rest.subarray(at, at + 7_001));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => client.closed);
    expect(client.messages).toMatchObject([{ header: { revision: "2" } }]);
  });

  it.each([
    ["without a mask", clientFrame(opcode.text, Buffer.from("{}"), { isMasked: false }), 1002],
    ["of an unknown kind", clientFrame(0x3, Buffer.from("{}")), 1002],
    ["that continues nothing", clientFrame(opcode.continuation, Buffer.from("{}")), 1002],
    ["of control in parts", clientFrame(opcode.ping, Buffer.from("x"), { isFinal: false }), 1002],
    ["of control too long", clientFrame(opcode.ping, Buffer.alloc(200)), 1009],
    ["with reserved bits", Buffer.from([0xc1, 0x80, 0, 0, 0, 0]), 1002],
    ["that is not text", clientFrame(opcode.text, Buffer.from([0xff, 0xfe])), 1007],
    ["beyond the limit", clientFrame(opcode.text, Buffer.alloc(bodyBytesMax + 1)), 1009],
  ])("closes on a frame %s", async (_what, frame, code) => {
    const client = await open("/v3/watch");
    client.write(frame);
    await until(() => client.closed);
    expect(client.closeCode).toBe(code);
    await until(() => ended.length === 1);
  });

  it("reads the same messages however its bytes are cut", () => {
    const texts = ["", "a", "x".repeat(125), "y".repeat(126), "z".repeat(70_000)];
    const bytes = Buffer.concat(texts.map((text) => clientFrame(opcode.text, Buffer.from(text))));
    for (const size of [1, 3, 64, 8_191, bytes.length]) {
      const reader = new WebSocketReader(100_000);
      const events = [];
      // One byte at a time over the short ones is enough.
      const end = size === 1 ? 600 : bytes.length;
      for (let at = 0; at < end; at += size) {
        events.push(...reader.push(bytes.subarray(at, at + size)));
      }
      const whole = size === 1 ? texts.slice(0, 4) : texts;
      expect(events).toEqual(whole.map((text) => ({ kind: "message", text })));
    }
  });

  it("fails in one way only, whatever comes", () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const rng = new SeededRng(seed);
    const good = clientFrame(opcode.text, Buffer.from("hello"));
    for (let i = 0; i < 5_000; i++) {
      const reader = new WebSocketReader(1_000);
      const bytes = Buffer.concat([good, Buffer.from(good), clientFrame(opcode.ping, good)]);
      for (let damage = rng.below(6); damage > 0; damage--) {
        bytes[rng.below(bytes.length)] = rng.below(256);
      }
      try {
        for (let at = 0; at < bytes.length; at += 7) {
          reader.push(bytes.subarray(at, at + 7));
        }
      } catch (error) {
        expect(error, `seed ${seed}`).toBeInstanceOf(WebSocketError);
      }
    }
  });

  it("writes lengths in the shortest form", () => {
    expect(encodeFrame(opcode.text, Buffer.alloc(125)).subarray(0, 2).toString("hex")).toBe("817d");
    expect(encodeFrame(opcode.text, Buffer.alloc(126)).subarray(0, 4).toString("hex")).toBe(
      "817e007e",
    );
    expect(encodeFrame(opcode.text, Buffer.alloc(65_536)).subarray(0, 10).toString("hex")).toBe(
      "817f0000000000010000",
    );
  });
});
