// Every bound of limits.ts, attacked over a real socket with raw frames.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { utf8 } from "../../src/base/index.ts";
import type { ConnectionLimits, GrpcServerOptions } from "../../src/grpc/index.ts";
import { errorCode, frameFlag, frameType, settingId } from "../../src/grpc/frame.ts";
import { pushInteger } from "../../src/grpc/hpack-encoder.ts";
import { type AttackTarget, dataLength, startTarget } from "./attack-target.ts";
import { collect, type Harness, until } from "./harness.ts";
import {
  data,
  frame,
  headerBlock,
  headers,
  headersOf,
  prefaceBytes,
  RawH2,
  requestFields,
  reset,
  resetCode,
  settings,
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

describe("slow starts", () => {
  test("a preface that does not come", async () => {
    await start({ prefaceTimeoutMs: 100 });
    const client = new RawH2(server.portNumber);
    client.send(prefaceBytes.subarray(0, 10));
    expect(await client.end()).toBeUndefined();
  });

  test("SETTINGS that do not come", async () => {
    await start({ prefaceTimeoutMs: 100 });
    const client = new RawH2(server.portNumber);
    client.send(prefaceBytes);
    expect(await client.end()).toBeUndefined();
  });

  test("SETTINGS that are not acknowledged", async () => {
    await start({ settingsAckTimeoutMs: 100 });
    const client = new RawH2(server.portNumber);
    client.send(prefaceBytes, settings());
    expect((await client.end())?.code).toBe(errorCode.settingsTimeout);
  });

  test("a connection without streams", async () => {
    await start({ idleTimeoutMs: 150 });
    const client = await open();
    expect(await client.end()).toMatchObject({ code: errorCode.noError, text: "idle" });
  });

  test("a client that is gone without a word: keep-alive finds out", async () => {
    await start({}, { keepAliveIntervalMs: 100, keepAliveTimeoutMs: 200 });
    const client = await open();
    client.send(headers(1, "/test.Echo/Control"));
    await until(() => server.seen.calls.length === 1);
    await client.end();
    expect(client.frames.filter(({ type }) => type === frameType.ping)).toHaveLength(1);
    await until(() => server.seen.cancelled.length === 1);
  });

  test("a frame that is begun and not finished", async () => {
    await start({ partialFrameTimeoutMs: 100 });
    const client = await open();
    client.send(headers(1, "/test.Echo/Unary").subarray(0, 20));
    expect((await client.end())?.code).toBe(errorCode.enhanceYourCalm);
  });

  test("a header block that is begun and not finished", async () => {
    await start({ partialFrameTimeoutMs: 100 });
    const client = await open();
    client.send(headers(1, "/test.Echo/Unary", 0));
    expect((await client.end())?.code).toBe(errorCode.enhanceYourCalm);
  });
});

describe("header blocks", () => {
  beforeEach(() => start());

  test("CONTINUATION flood", async () => {
    const client = await open();
    client.send(headers(1, "/test.Echo/Unary", 0));
    for (let i = 0; i < 9; i++) {
      client.send(frame(frameType.continuation, 0, 1));
    }
    expect(await client.end()).toMatchObject({
      code: errorCode.enhanceYourCalm,
      text: "too many CONTINUATION frames",
    });
  });

  test("a compressed block that is too large", async () => {
    const client = await open();
    client.send(headers(1, "/test.Echo/Unary", 0));
    client.send(frame(frameType.continuation, 0, 1, new Uint8Array(10_000)));
    client.send(frame(frameType.continuation, 0, 1, new Uint8Array(10_000)));
    expect((await client.end())?.text).toBe("header block too large");
  });

  test("an HPACK bomb: one large entry, referred to many times", async () => {
    const client = await open();
    const bytes = [...headerBlock(requestFields("/test.Echo/Unary"))];
    bytes.push(0x40, 1, 0x61);
    pushInteger(bytes, 4_000, 7, 0);
    bytes.push(...new Array<number>(4_000).fill(0x62));
    bytes.push(...new Array<number>(8_000).fill(0x80 | 62));
    client.send(frame(frameType.headers, frameFlag.endHeaders, 1, bytes));
    await until(() => resetCode(client.frames, 1) !== undefined);
    expect(resetCode(client.frames, 1)).toBe(errorCode.enhanceYourCalm);
    // The block was read to its end, so the table is in step: the next request is understood.
    client.send(unaryRequest(3, "Unary", utf8("x")));
    await until(() => headersOf(client.frames, 3).length === 2);
  });

  test("too many fields", async () => {
    const client = await open();
    const extra = Array.from({ length: 130 }, (_, i) => [`x-${i}`, ""] as const);
    client.send(headers(1, "/test.Echo/Unary", frameFlag.endHeaders, extra));
    await until(() => resetCode(client.frames, 1) !== undefined);
    expect(resetCode(client.frames, 1)).toBe(errorCode.enhanceYourCalm);
  });

  test("an integer without end, a bad Huffman code, an index out of the tables", async () => {
    const blocks = [
      [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
      [0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00],
      [0xff, 0x50],
      [0x3f, 0xff, 0xff, 0x03],
    ];
    for (const block of blocks) {
      const client = await open();
      client.send(frame(frameType.headers, frameFlag.endHeaders, 1, block));
      expect((await client.end())?.code).toBe(errorCode.compressionError);
    }
  });
});

describe("resets", () => {
  test("Rapid Reset: calls opened and reset at once", async () => {
    await start();
    const client = await open();
    for (let i = 0; i < 1_200; i++) {
      client.send(headers(1 + 2 * i, "/test.Echo/Hang"), reset(1 + 2 * i));
    }
    expect(await client.end()).toMatchObject({
      code: errorCode.enhanceYourCalm,
      text: "too many resets",
    });
  });

  test("MadeYouReset: the server is made to reset, handlers go on", async () => {
    await start({ streamErrorsMax: 10_000 }, { concurrentStreamsMax: 50 });
    const client = await open();
    for (let i = 0; i < 200; i++) {
      const id = 1 + 2 * i;
      client.send(unaryRequest(id, "Hang", utf8("x")), windowUpdate(id, 0));
    }
    await until(() => resetCode(client.frames, 399) !== undefined);
    // 50 handlers run and never end; every further call was refused, none piled up.
    expect(server.seen.calls).toHaveLength(50);
    expect(resetCode(client.frames, 399)).toBe(errorCode.refusedStream);
    for (let i = 200; i < 1_200; i++) {
      client.send(unaryRequest(1 + 2 * i, "Hang", utf8("x")));
    }
    expect((await client.end())?.text).toBe("too many resets");
  });

  test("more streams at once than allowed are refused, and later ones are not", async () => {
    await start({}, { concurrentStreamsMax: 3 });
    const client = await open();
    for (const id of [1, 3, 5, 7]) {
      client.send(headers(id, "/test.Echo/Control"));
    }
    await until(() => resetCode(client.frames, 7) !== undefined);
    expect(resetCode(client.frames, 7)).toBe(errorCode.refusedStream);
    client.send(reset(1), unaryRequest(9, "Unary", utf8("x")));
    await until(() => headersOf(client.frames, 9).length === 2);
  });

  test("stream errors without end", async () => {
    await start();
    const client = await open();
    for (let i = 0; i < 110; i++) {
      client.send(frame(frameType.headers, frameFlag.endHeaders, 1 + 2 * i, headerBlock([])));
    }
    expect((await client.end())?.text).toBe("too many stream errors");
  });
});

describe("floods", () => {
  test("SETTINGS frames, and entries in one", async () => {
    await start();
    const many = await open();
    for (let i = 0; i < 101; i++) {
      many.send(settings([settingId.initialWindowSize, 65_535]));
    }
    expect((await many.end())?.text).toBe("too many settings");
    const wide = await open();
    wide.send(settings(...Array.from({ length: 33 }, () => [99, 0] as const)));
    expect((await wide.end())?.text).toBe("too many settings");
  });

  test("PING in one chunk: its acknowledgements would queue", async () => {
    await start({}, { keepAliveMinTimeMs: 0 });
    const client = await open();
    client.send(
      ...Array.from({ length: 20 }, () => frame(frameType.ping, 0, 0, new Uint8Array(8))),
    );
    expect((await client.end())?.text).toBe("too many pings unread");
  });

  test("PING over a minute", async () => {
    await start({ pingFramesPerMinute: 30 }, { keepAliveMinTimeMs: 0 });
    const client = await open();
    for (let i = 0; i < 40; i++) {
      client.send(frame(frameType.ping, 0, 0, new Uint8Array(8)));
      await until(() => client.closed || acks(client) === i + 1);
    }
    expect((await client.end())?.text).toBe("too many pings");
  });

  test("keep-alive pings too close together: two are forgiven", async () => {
    await start({}, { keepAliveMinTimeMs: 5_000 });
    const client = await open();
    for (let i = 0; i < 4; i++) {
      client.send(frame(frameType.ping, 0, 0, new Uint8Array(8)));
      await until(() => client.closed || acks(client) === i + 1);
    }
    expect(await client.end()).toMatchObject({
      code: errorCode.enhanceYourCalm,
      text: "too_many_pings",
    });
    expect(acks(client)).toBe(3);
  });

  test("pings among answers are no keep-alive flood", async () => {
    await start({}, { keepAliveMinTimeMs: 5_000 });
    const honest = await open();
    for (let i = 0; i < 20; i++) {
      const ping = frame(frameType.ping, 0, 0, new Uint8Array(8));
      honest.send(unaryRequest(1 + 2 * i, "Unary", utf8("x")), ping);
      await until(() => acks(honest) === i + 1);
    }
    expect(honest.closed).toBe(false);
  });

  test("PRIORITY and unknown frames", async () => {
    for (const type of [frameType.priority, 77]) {
      await start();
      const client = await open();
      const one = frame(type, 0, 1, [0, 0, 0, 0, 16]);
      client.send(...Array.from({ length: 1_050 }, () => one));
      expect((await client.end())?.text).toBe("too many frames without use");
      await server.close();
    }
    await start();
  });

  test("empty DATA frames", async () => {
    await start();
    const client = await open();
    client.send(headers(1, "/test.Echo/Upload"));
    client.send(...Array.from({ length: 101 }, () => data(1, new Uint8Array(0), false)));
    expect((await client.end())?.text).toBe("too many empty DATA frames");
  });

  test("WINDOW_UPDATE frames", async () => {
    await start();
    const client = await open();
    client.send(...Array.from({ length: 1_010 }, () => windowUpdate(0, 1)));
    expect((await client.end())?.text).toBe("too many window updates");
  });

  test("window updates in step with data are no flood", async () => {
    await start({ windowUpdatesBurst: 10 }, {});
    const client = await open([settingId.initialWindowSize, 1_000]);
    client.send(unaryRequest(1, "Unary", new Uint8Array(60_000)));
    let updates = 0;
    while (headersOf(client.frames, 1).length < 2) {
      client.send(windowUpdate(1, 1_000));
      updates++;
      await until(() => dataLength(client) >= Math.min(60_005, 1_000 * (updates + 1)));
    }
    expect(updates).toBeGreaterThan(50);
    expect(client.closed).toBe(false);
  });

  test("control frames that are not read", async () => {
    await start(
      { pingAcksQueuedMax: 1_000_000, pingFramesPerMinute: 1_000_000 },
      {
        keepAliveMinTimeMs: 0,
      },
    );
    const client = await open();
    client.socket.pause();
    const pings = Buffer.concat(
      Array.from({ length: 1_000 }, () => frame(frameType.ping, 0, 0, new Uint8Array(8))),
    );
    client.send(...Array.from({ length: 60 }, () => pings));
    await until(() => server.port.connections === 0 || client.socket.destroyed, 10_000);
  });
});

function acks(client: RawH2): number {
  return client.frames.filter(({ type, flags }) => type === frameType.ping && flags === 1).length;
}

test("an honest client beside attackers keeps its p99 under 200 ms", async () => {
  await start();
  const script = fileURLToPath(new URL("attackers.ts", import.meta.url));
  const args = ["--import", "tsx", script, String(server.portNumber)];
  const attackers = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  attackers.stdout.on("data", (chunk) => {
    output += String(chunk);
  });
  const exited = new Promise((resolve) => attackers.on("exit", resolve));
  await until(() => output.includes("attacking"), 20_000);
  const honest = server.client();
  const latencies: number[] = [];
  const chat = honest.stream("Chat");
  const chatDone = collect(chat);
  const endMs = performance.now() + 3_000;
  while (performance.now() < endMs) {
    const startedMs = performance.now();
    chat.write(utf8("x"));
    await honest.unary("Later", "ping");
    latencies.push(performance.now() - startedMs);
  }
  chat.end();
  attackers.kill("SIGTERM");
  await exited;
  expect((await chatDone).code).toBe(0);
  // Each attack ran, and was ended by the server, again and again.
  const rounds = JSON.parse(output.slice(output.indexOf("["))) as number[];
  expect(rounds.every((count) => count >= 2)).toBe(true);
  latencies.sort((a, b) => a - b);
  const p99 = latencies[Math.floor(latencies.length * 0.99)] ?? Number.POSITIVE_INFINITY;
  console.log(`${latencies.length} calls, p99 ${p99.toFixed(1)} ms, attacks ${rounds.join(" ")}`);
  expect(latencies.length).toBeGreaterThan(100);
  expect(p99).toBeLessThan(200);
});
