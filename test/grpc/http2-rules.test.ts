// RFC 9113, rule by rule: what a client does wrong, and what it must be told. The cases are those
// that h2spec tries, and a few more.

import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/base/index.ts";
import { errorCode, frameFlag, frameType, settingId } from "../../src/grpc/frame.ts";
import {
  data,
  dataOf,
  frame,
  goawayOf,
  grpcMessage,
  headerBlock,
  headers,
  headersOf,
  prefaceBytes,
  requestFields,
  reset,
  resetCode,
  settings,
  settingsAck,
  u32,
  unaryRequest,
  windowUpdate,
} from "./raw-h2.ts";
import { VirtualServer } from "./virtual-server.ts";

const hang = "/test.Echo/Control";
const endBoth = frameFlag.endHeaders | frameFlag.endStream;

function fields(list: readonly (readonly [string, string])[], flags: number = endBoth): Buffer {
  return frame(frameType.headers, flags, 1, headerBlock(list));
}

type Case = readonly [string, number, readonly Uint8Array[]];

const { protocolError, frameSizeError, flowControlError, streamClosed, compressionError } =
  errorCode;

const connectionErrors: readonly Case[] = [
  ["DATA on stream 0", protocolError, [data(0, utf8("x"))]],
  ["DATA on an idle stream", protocolError, [data(1, utf8("x"))]],
  ["HEADERS on stream 0", protocolError, [headers(0, hang)]],
  ["HEADERS on an even stream", protocolError, [headers(2, hang)]],
  ["HEADERS on a stream that was left out", protocolError, [headers(5, hang), headers(3, hang)]],
  ["RST_STREAM on stream 0", protocolError, [reset(0)]],
  ["RST_STREAM on an idle stream", protocolError, [reset(1)]],
  ["RST_STREAM of 3 bytes", frameSizeError, [headers(1, hang), frame(3, 0, 1, [0, 0, 0])]],
  ["WINDOW_UPDATE on an idle stream", protocolError, [windowUpdate(1, 1)]],
  ["WINDOW_UPDATE of zero", protocolError, [windowUpdate(0, 0)]],
  ["WINDOW_UPDATE of 3 bytes", frameSizeError, [frame(8, 0, 0, [0, 0, 1])]],
  ["connection window overflow", flowControlError, [windowUpdate(0, 0x7fff_ffff)]],
  ["SETTINGS on a stream", protocolError, [frame(4, 0, 1)]],
  ["SETTINGS of 5 bytes", frameSizeError, [frame(4, 0, 0, [0, 1, 0, 0, 0])]],
  ["SETTINGS acknowledgement with payload", frameSizeError, [frame(4, 1, 0, [0])]],
  ["ENABLE_PUSH of 2", protocolError, [settings([settingId.enablePush, 2])]],
  ["initial window too large", flowControlError, [settings([4, 0x8000_0000])]],
  ["frame size too small", protocolError, [settings([5, 16_383])]],
  ["frame size too large", protocolError, [settings([5, 16_777_216])]],
  [
    "stream window overflow by SETTINGS",
    flowControlError,
    [headers(1, hang), windowUpdate(1, 0x7fff_ffff - 65_535), settings([4, 65_536])],
  ],
  ["PING on a stream", protocolError, [frame(6, 0, 1, new Uint8Array(8))]],
  ["PING of 7 bytes", frameSizeError, [frame(6, 0, 0, new Uint8Array(7))]],
  ["GOAWAY on a stream", protocolError, [frame(7, 0, 1, new Uint8Array(8))]],
  ["GOAWAY of 7 bytes", frameSizeError, [frame(7, 0, 0, new Uint8Array(7))]],
  ["PRIORITY on stream 0", protocolError, [frame(2, 0, 0, [0, 0, 0, 1, 1])]],
  ["PUSH_PROMISE", protocolError, [headers(1, hang), frame(5, 4, 1, [0, 0, 0, 2])]],
  ["CONTINUATION without HEADERS", protocolError, [headers(1, hang), frame(9, 4, 1)]],
  ["CONTINUATION on stream 0", protocolError, [headers(1, hang, 0), frame(9, 4, 0)]],
  ["CONTINUATION on another stream", protocolError, [headers(1, hang, 0), frame(9, 4, 3)]],
  [
    "PING inside a header block",
    protocolError,
    [headers(1, hang, 0), frame(6, 0, 0, new Uint8Array(8))],
  ],
  ["DATA inside a header block", protocolError, [headers(1, hang, 0), data(1, utf8("x"))]],
  ["an unknown frame inside a header block", protocolError, [headers(1, hang, 0), frame(99, 0, 1)]],
  ["a frame larger than 16,384 bytes", frameSizeError, [frame(99, 0, 0, new Uint8Array(16_385))]],
  [
    "DATA larger than 16,384 bytes",
    frameSizeError,
    [headers(1, hang), frame(0, 0, 1, new Uint8Array(16_385))],
  ],
  ["padding longer than DATA", protocolError, [headers(1, hang), frame(0, 8, 1, [5, 1, 2])]],
  ["padded DATA of no bytes", frameSizeError, [headers(1, hang), frame(0, 8, 1)]],
  ["padding longer than HEADERS", protocolError, [frame(1, 4 | 8, 1, [9, 0x82])]],
  ["HEADERS too short for its priority", frameSizeError, [frame(1, 4 | 0x20, 1, [0, 0])]],
  ["a header block that does not decode", compressionError, [frame(1, 4, 1, [0xff, 0x50])]],
  [
    "DATA on a finished stream",
    streamClosed,
    [unaryRequest(1, "Unary", utf8("x")), data(1, utf8("x"))],
  ],
  [
    "HEADERS on a finished stream",
    streamClosed,
    [unaryRequest(1, "Unary", utf8("x")), headers(1, hang)],
  ],
];

describe("connection errors", () => {
  test.each(connectionErrors)("%s", (_, code, parts) => {
    const server = new VirtualServer().greet().send(...parts);
    expect(goawayOf(server.parser.frames)?.code).toBe(code);
    expect(server.closeWanted).toBe(true);
    expect(server.connection.streamCount).toBe(0);
  });

  test("a bad preface, and a first frame that is not SETTINGS", () => {
    const bad = new VirtualServer().send(utf8("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"));
    expect(goawayOf(bad.parser.frames)?.code).toBe(protocolError);
    const early = new VirtualServer().send(prefaceBytes, frame(6, 0, 0, new Uint8Array(8)));
    expect(goawayOf(early.parser.frames)?.code).toBe(protocolError);
  });

  test("the connection's window is returned though no handler reads", () => {
    const server = new VirtualServer().greet();
    const piece = new Uint8Array(16_384);
    for (let id = 1; id < 200 && !server.closeWanted; id += 2) {
      server.send(headers(id, hang));
      server.send(...Array.from({ length: 16 }, () => data(id, piece, false)));
    }
    expect(server.closeWanted).toBe(false);
  });
});

const streamErrors: readonly Case[] = [
  ["WINDOW_UPDATE of zero", protocolError, [headers(1, hang), windowUpdate(1, 0)]],
  ["stream window overflow", flowControlError, [headers(1, hang), windowUpdate(1, 0x7fff_ffff)]],
  ["DATA after END_STREAM", streamClosed, [headers(1, hang, endBoth), data(1, utf8("x"))]],
  ["HEADERS after END_STREAM", streamClosed, [headers(1, hang, endBoth), headers(1, hang)]],
  ["DATA after RST_STREAM", streamClosed, [headers(1, hang), reset(1), data(1, utf8("x"))]],
  ["HEADERS after RST_STREAM", streamClosed, [headers(1, hang), reset(1), headers(1, hang)]],
  [
    "trailers without END_STREAM",
    protocolError,
    [headers(1, hang), fields([["a", "b"]], frameFlag.endHeaders)],
  ],
  ["trailers with a pseudo-header", protocolError, [headers(1, hang), fields([[":path", "/"]])]],
  [
    "a stream that depends on itself",
    protocolError,
    [headers(1, hang), frame(2, 0, 1, [0, 0, 0, 1, 0])],
  ],
  ["PRIORITY of 4 bytes", frameSizeError, [headers(1, hang), frame(2, 0, 1, [0, 0, 0, 0])]],
  [
    "HEADERS that depend on themselves",
    protocolError,
    [
      frame(
        1,
        4 | 0x20,
        1,
        Buffer.concat([u32(1), Buffer.of(0), headerBlock(requestFields(hang))]),
      ),
    ],
  ],
  [
    "content-length that is not the data's",
    protocolError,
    [headers(1, hang, frameFlag.endHeaders, [["content-length", "2"]]), data(1, utf8("x"))],
  ],
  [
    "content-length without data",
    protocolError,
    [headers(1, hang, endBoth, [["content-length", "2"]])],
  ],
];

const get = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
] as const;

const malformedRequests: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
  ["an upper-case name", [...get, ["X-Test", "1"]]],
  ["an empty name", [...get, ["", "1"]]],
  ["a line end in a value", [...get, ["a", "b\r\nc"]]],
  ["an unknown pseudo-header", [...get, [":test", "1"]]],
  ["a response's pseudo-header", [...get, [":status", "200"]]],
  ["a pseudo-header after a field", [...get.slice(0, 2), ["a", "b"], [":path", "/"]]],
  ["a connection field", [...get, ["connection", "keep-alive"]]],
  ["te with another value than trailers", [...get, ["te", "gzip"]]],
  ["an empty :path", [...get.slice(0, 2), [":path", ""]]],
  ["no :method", get.slice(1)],
  ["no :scheme", [get[0], get[2]]],
  ["no :path", get.slice(0, 2)],
  ["two :method", [...get, [":method", "GET"]]],
  ["two :path", [...get, [":path", "/"]]],
  ["a content-length that is no number", [...get, ["content-length", "1x"]]],
];

describe("stream errors", () => {
  test.each(streamErrors)("%s", (_, code, parts) => {
    const server = new VirtualServer().greet().send(...parts);
    expect(resetCode(server.parser.frames, 1)).toBe(code);
    expect(goawayOf(server.parser.frames)).toBeUndefined();
    // The connection goes on.
    server.send(unaryRequest(3, "Unary", utf8("x")));
    expect(headersOf(server.parser.frames, 3)).toHaveLength(2);
  });

  test.each(malformedRequests)("malformed request: %s", (_, list) => {
    const server = new VirtualServer().greet().send(fields(list));
    expect(resetCode(server.parser.frames, 1)).toBe(protocolError);
    expect(goawayOf(server.parser.frames)).toBeUndefined();
  });

  test("more data than the stream's window", () => {
    const server = new VirtualServer().greet().send(headers(1, hang));
    const piece = grpcMessage(new Uint8Array(16_000));
    for (let i = 0; i < 17; i++) {
      server.send(data(1, piece, false));
    }
    expect(resetCode(server.parser.frames, 1)).toBe(flowControlError);
  });
});

describe("what is allowed", () => {
  test("SETTINGS and PING are acknowledged, unknown frames and settings ignored", () => {
    const server = new VirtualServer().greet([99, 1]);
    const ping = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    server.send(frame(99, 0xff, 0, ping), frame(6, 0, 0, ping), frame(6, 1, 0, ping));
    const acks = server.parser.frames.filter(({ flags, type }) => flags === 1 && type !== 1);
    expect(acks.map(({ type }) => type)).toEqual([frameType.settings, frameType.ping]);
    expect(Array.from(acks[1]?.payload ?? [])).toEqual(Array.from(ping));
  });

  test("padded HEADERS and DATA, with priority, over CONTINUATION, split messages", () => {
    const block = headerBlock(requestFields("/test.Echo/Unary"));
    const message = grpcMessage(utf8("hello"));
    const server = new VirtualServer().greet();
    const start = Buffer.concat([Buffer.of(3), u32(0), Buffer.of(9), block.subarray(0, 20)]);
    server.send(
      frame(1, 8 | 0x20, 1, Buffer.concat([start, Buffer.alloc(3)])),
      frame(9, 0, 1, block.subarray(20, 40)),
      frame(9, 4, 1, block.subarray(40)),
      frame(0, 8, 1, Buffer.concat([Buffer.of(2), message.subarray(0, 3), Buffer.alloc(2)])),
      frame(0, 8, 1, Buffer.of(0)),
      data(1, message.subarray(3, 7), false),
      frame(0, 8 | 1, 1, Buffer.concat([Buffer.of(200), message.subarray(7), Buffer.alloc(200)])),
    );
    expect(dataOf(server.parser.frames, 1)).toEqual(message);
    // What was padding was returned to the stream's window.
    const returned = server.parser.frames.filter((one) => one.type === 8 && one.streamId === 1);
    expect(returned.map(({ payload }) => payload.readUInt32BE(0))).toEqual([3, 1]);
  });

  test("trailers of a request end it; frames after our own reset are ignored", () => {
    const server = new VirtualServer().greet();
    server.send(
      headers(1, "/test.Echo/Unary"),
      data(1, grpcMessage(utf8("x")), false),
      fields([["a", "b"]]),
    );
    expect(headersOf(server.parser.frames, 1)).toHaveLength(2);
    server.send(
      headers(3, "/test.None/Nothing"),
      data(3, utf8("late")),
      reset(3),
      windowUpdate(3, 1),
    );
    expect(resetCode(server.parser.frames, 3)).toBe(errorCode.noError);
    expect(goawayOf(server.parser.frames)).toBeUndefined();
  });

  test("the client's windows are kept, and their change in mid-stream", () => {
    const server = new VirtualServer().greet([settingId.initialWindowSize, 10]);
    server.send(unaryRequest(1, "Unary", utf8("0123456789")));
    expect(dataOf(server.parser.frames, 1)).toHaveLength(10);
    server.send(settings([settingId.initialWindowSize, 5]), windowUpdate(1, 5));
    expect(dataOf(server.parser.frames, 1)).toHaveLength(10);
    server.send(windowUpdate(1, 2));
    expect(dataOf(server.parser.frames, 1)).toHaveLength(12);
    expect(headersOf(server.parser.frames, 1)).toHaveLength(1);
    server.send(settings([settingId.initialWindowSize, 8]));
    expect(dataOf(server.parser.frames, 1)).toEqual(grpcMessage(utf8("0123456789")));
    expect(headersOf(server.parser.frames, 1)[1]).toEqual({ "grpc-status": "0" });
  });

  test("the connection's window is shared, a frame each in turn", () => {
    const server = new VirtualServer().greet([settingId.initialWindowSize, 1_000_000]);
    server.send(unaryRequest(1, "Unary", new Uint8Array(60_000)));
    server.send(unaryRequest(3, "Unary", new Uint8Array(60_000)));
    server.send(unaryRequest(5, "Unary", new Uint8Array(60_000)));
    const sent = (id: number): number => dataOf(server.parser.frames, id).length;
    expect(sent(1) + sent(3) + sent(5)).toBe(65_535);
    server.send(windowUpdate(0, 65_536));
    expect(sent(3)).toBeGreaterThan(30_000);
    expect(sent(5)).toBeGreaterThan(30_000);
    server.send(windowUpdate(0, 65_536));
    expect([sent(1), sent(3), sent(5)]).toEqual([60_005, 60_005, 60_005]);
  });

  test("frames are as large as the client allows, and no larger", () => {
    const server = new VirtualServer().greet([4, 1_000_000], [5, 20_000]);
    server.send(windowUpdate(0, 1_000_000), unaryRequest(1, "Unary", new Uint8Array(50_000)));
    const sizes = server.parser.frames
      .filter(({ type }) => type === frameType.data)
      .map(({ payload }) => payload.length);
    expect(sizes).toEqual([20_000, 20_000, 10_005]);
  });

  test("an answer of many parts stays whole, however little of it may go at a time", () => {
    const parts = Array.from({ length: 3_000 }, (_, i) => Buffer.alloc(300, i));
    const wanted = grpcMessage(Buffer.concat(parts));
    for (const window of [1, 700, 16_384, 100_000, 2_000_000]) {
      const server = new VirtualServer().greet([settingId.initialWindowSize, window]);
      server.send(windowUpdate(0, 10_000_000));
      // Two at once, on slabs that the answers before have filled.
      server.send(unaryRequest(1, "ManyParts", utf8("3000:300")));
      server.send(unaryRequest(3, "ManyParts", utf8("3000:300")));
      for (let given = window; given < wanted.length; given += 200_000) {
        server.send(windowUpdate(1, 200_000), windowUpdate(3, 200_000));
      }
      expect(dataOf(server.parser.frames, 1).equals(wanted)).toBe(true);
      expect(dataOf(server.parser.frames, 3).equals(wanted)).toBe(true);
    }
  });

  test("draining: late streams are served until the client has heard, then not", () => {
    const server = new VirtualServer().greet().send(headers(1, "/test.Echo/Chat"));
    server.connection.drain();
    server.flush();
    expect(goawayOf(server.parser.frames)).toMatchObject({ code: 0, lastStreamId: 0x7fff_ffff });
    server.send(unaryRequest(3, "Unary", utf8("late")));
    expect(headersOf(server.parser.frames, 3)).toHaveLength(2);
    const ping = server.parser.frames.find(({ type }) => type === frameType.ping);
    server.send(frame(6, 1, 0, ping?.payload ?? []));
    expect(goawayOf(server.parser.frames)).toMatchObject({ code: 0, lastStreamId: 3 });
    server.send(unaryRequest(5, "Unary", utf8("too late")), data(1, grpcMessage(utf8("x")), false));
    expect(headersOf(server.parser.frames, 5)).toHaveLength(0);
    expect(dataOf(server.parser.frames, 1)).toEqual(grpcMessage(utf8("x")));
    expect(server.closeWanted).toBe(false);
    server.send(data(1, new Uint8Array(0)));
    expect(server.closeWanted).toBe(true);
  });

  test("SETTINGS of this server", () => {
    const server = new VirtualServer();
    server.flush();
    const [first, second] = server.parser.frames;
    expect(first?.payload).toEqual(settings([3, 100], [4, 262_144], [6, 16_384]).subarray(9));
    expect(second).toMatchObject({ type: frameType.windowUpdate, streamId: 0 });
    server.send(prefaceBytes, settings(), settingsAck);
    expect(server.frames.settingsAcknowledged).toBe(true);
  });
});
