// Readers that stall and writers that dribble, over a real socket with raw frames: what they make
// the server hold is bounded, and they are closed.

import { afterEach, describe, expect, test } from "vitest";
import { utf8 } from "../../src/base/index.ts";
import type { ConnectionLimits, GrpcServerOptions } from "../../src/grpc/index.ts";
import { frameType, settingId } from "../../src/grpc/frame.ts";
import { type AttackTarget, dataLength, startTarget } from "./attack-target.ts";
import { type Harness, until } from "./harness.ts";
import {
  data,
  frame,
  grpcMessage,
  headers,
  headersOf,
  type RawH2,
  unaryRequest,
  windowUpdate,
} from "./raw-h2.ts";

let target: AttackTarget;
let server: Harness;

async function start(
  limits: Partial<ConnectionLimits> = {},
  options: Partial<GrpcServerOptions> = {},
): Promise<void> {
  target = await startTarget(limits, options);
  server = target.server;
}

function open(...values: readonly (readonly [number, number])[]): Promise<RawH2> {
  return target.open(...values);
}

afterEach(() => target.finish());

describe("readers that stall and writers that dribble", () => {
  test("much queued, no window: closed soon", async () => {
    await start({ stalledTimeoutMs: 300, stalledBytes: 100_000 });
    const client = await open([settingId.initialWindowSize, 0]);
    client.send(unaryRequest(1, "Unary", new Uint8Array(200_000)));
    await client.end();
    expect(dataLength(client)).toBe(0);
  });

  test("little queued, no window: closed later", async () => {
    await start({ stalledTimeoutMs: 100, stalledAnyTimeoutMs: 600 });
    const client = await open([settingId.initialWindowSize, 0]);
    const startedMs = performance.now();
    client.send(unaryRequest(1, "Unary", new Uint8Array(1_000)));
    await client.end();
    expect(performance.now() - startedMs).toBeGreaterThan(500);
  });

  test("pings do not make up for reading", async () => {
    await start({ stalledAnyTimeoutMs: 400 }, { keepAliveMinTimeMs: 0 });
    const client = await open([settingId.initialWindowSize, 0]);
    client.send(unaryRequest(1, "Unary", new Uint8Array(1_000)));
    let pings = 0;
    const timer = setInterval(() => {
      client.send(frame(frameType.ping, 0, 0, new Uint8Array(8)));
      pings++;
    }, 50);
    await client.end();
    clearInterval(timer);
    expect(pings).toBeGreaterThan(5);
  });

  test("a slow reader that reads is kept", async () => {
    await start({ stalledTimeoutMs: 300, stalledBytes: 10_000, stalledAnyTimeoutMs: 300 });
    const client = await open([settingId.initialWindowSize, 0]);
    client.send(unaryRequest(1, "Unary", new Uint8Array(20_000)));
    for (let i = 0; i < 11; i++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      client.send(windowUpdate(1, 2_000));
    }
    await until(() => headersOf(client.frames, 1).length === 2);
    expect(dataLength(client)).toBe(20_005);
  });

  test("a request that never is complete", async () => {
    await start({ stalledAnyTimeoutMs: 300 });
    const client = await open();
    client.send(headers(1, "/test.Echo/Unary"));
    const message = grpcMessage(new Uint8Array(1_000));
    let sent = 0;
    const timer = setInterval(() => {
      client.send(data(1, message.subarray(sent, sent + 1), false));
      sent++;
    }, 30);
    await client.end();
    clearInterval(timer);
    expect(sent).toBeLessThan(100);
  });

  test("a socket that is not read: framing stops, calls wait, then it is closed", async () => {
    await start({ stalledTimeoutMs: 500, stalledBytes: 100_000, queuedBytesHold: 2_000_000 });
    const client = await open([settingId.initialWindowSize, 0x7fff_ffff]);
    client.send(windowUpdate(0, 0x7fff_ffff - 65_535));
    client.socket.pause();
    for (let i = 0; i < 300; i++) {
      client.send(unaryRequest(1 + 2 * i, "Unary", new Uint8Array(100_000)));
    }
    await until(() => server.port.connections === 0, 10_000);
    // Far fewer than 300 calls ran: the rest waited for the client to read.
    expect(server.seen.ended.filter(({ status }) => status === 0).length).toBeLessThan(150);
  });

  test("replies beyond the bound become RESOURCE_EXHAUSTED", async () => {
    await start({ queuedBytesMax: 500_000 });
    const client = await open([settingId.initialWindowSize, 0]);
    for (let i = 0; i < 10; i++) {
      client.send(unaryRequest(1 + 2 * i, "Later", new Uint8Array(100_000)));
    }
    await until(() => server.seen.ended.length === 10);
    const refused = server.seen.ended.filter(({ status }) => status === 8).length;
    // The first five fill the queue beyond the bound.
    expect(refused).toBe(5);
  });

  test("all connections together: the longest stalled is closed, the others are not", async () => {
    await start({ serverBufferedBytesMax: 600_000 });
    const stalled = await open([settingId.initialWindowSize, 0]);
    stalled.send(unaryRequest(1, "Unary", new Uint8Array(200_000)));
    await until(() => server.seen.ended.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const others: RawH2[] = [];
    for (let i = 0; i < 2; i++) {
      const other = await open([settingId.initialWindowSize, 0]);
      other.send(unaryRequest(1, "Unary", new Uint8Array(240_000)));
      others.push(other);
    }
    await stalled.end();
    expect(others.map(({ closed }) => closed)).toEqual([false, false]);
  });

  test("large requests beyond the budget wait for their window, and all are served", async () => {
    await start({ assemblyBytesMax: 1_000_000 });
    const client = server.client();
    const calls = Array.from({ length: 12 }, () => client.unary("Unary", new Uint8Array(900_000)));
    for (const reply of await Promise.all(calls)) {
      expect(reply).toHaveLength(900_000);
    }
  });

  test("a server that stops says so to those it cuts", async () => {
    await start();
    const client = await open();
    client.send(headers(1, "/test.Echo/Control"));
    await until(() => server.seen.calls.length === 1);
    await server.port.close(50);
    const goaway = await client.end();
    expect(goaway).toMatchObject({ code: 0, text: "server is stopping" });
    await start();
  });

  test("claims of large requests get no more window than the budget", async () => {
    await start({ assemblyBytesMax: 3_000_000 });
    const client = await open();
    const prefix = grpcMessage(new Uint8Array(2_000_000)).subarray(0, 5);
    for (let i = 0; i < 100; i++) {
      client.send(headers(1 + 2 * i, "/test.Echo/Upload"), data(1 + 2 * i, prefix, false));
    }
    client.send(unaryRequest(1_001, "Unary", utf8("x")));
    await until(() => headersOf(client.frames, 1_001).length === 2);
    const granted = client.frames
      .filter(({ type, streamId }) => type === frameType.windowUpdate && streamId !== 0)
      .map(({ payload }) => payload.readUInt32BE(0));
    expect(granted.length).toBeGreaterThan(0);
    expect(granted.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThanOrEqual(3_000_000);
  });
});
