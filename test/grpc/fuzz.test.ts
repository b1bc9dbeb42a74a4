// Bytes and frames that nobody wrote by hand: the server never throws, and how bytes are cut into
// chunks changes nothing.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/base/index.ts";
import { settingId } from "../../src/grpc/frame.ts";
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
  settings,
  settingsAck,
  unaryRequest,
  windowUpdate,
} from "./raw-h2.ts";
import { VirtualServer } from "./virtual-server.ts";

const methods = ["Unary", "Later", "Fail", "Hang", "Upload", "Chat", "FailStream", "Nothing"];
const smallId = fc.constantFrom(0, 1, 1, 3, 3, 5, 7, 9, 2, 101);
const block = fc
  .tuple(fc.constantFrom(...methods), fc.boolean())
  .map(([method, bad]) =>
    headerBlock(requestFields(`/test.Echo/${method}`, bad ? [["Bad", "x"]] : [])),
  );
const message = fc.uint8Array({ maxLength: 300 }).map(grpcMessage);
const payload = fc.oneof(fc.uint8Array({ maxLength: 40 }), block, message);

/** Makes a frame, given how many streams were opened before. */
type FrameMaker = (opened: number) => { readonly bytes: Buffer; readonly opens: boolean };

function onOpened(make: (id: number) => Buffer): (which: number) => FrameMaker {
  return (which) => (opened) => {
    const id = opened === 0 ? 1 : 1 + 2 * (which % opened);
    return { bytes: make(id), opens: false };
  };
}

/** Mostly what a client might say, on streams that it opened; now and then nonsense. */
const anyFrame: fc.Arbitrary<FrameMaker> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(block, fc.constantFrom(4, 4, 4, 5)).map(
      ([one, flags]): FrameMaker =>
        (opened) => ({ bytes: frame(1, flags, 1 + 2 * opened, one), opens: true }),
    ),
  },
  {
    weight: 8,
    arbitrary: fc
      .tuple(fc.nat(20), fc.oneof(message, message, payload), fc.boolean())
      .map(([which, one, end]) => onOpened((id) => data(id, one, end))(which)),
  },
  {
    weight: 2,
    arbitrary: fc.uint8Array({ maxLength: 300 }).map(
      (body): FrameMaker =>
        (opened) => ({
          bytes: unaryRequest(1 + 2 * opened, "Unary", body),
          opens: true,
        }),
    ),
  },
  { weight: 1, arbitrary: fc.nat(20).map(onOpened((id) => reset(id))) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.nat(20), fc.nat(1_000_000))
      .map(([which, bytes]) => onOpened((id) => windowUpdate(id, bytes))(which)),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(7), fc.oneof(fc.nat(100_000), fc.constant(0x7fff_ffff))).map(
      ([id, value]): FrameMaker =>
        () => ({ bytes: settings([id, value]), opens: false }),
    ),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.nat(11), fc.nat(255), smallId, payload)
      .map(([type, flags, id, bytes]): FrameMaker => {
        return () => ({ bytes: frame(type, flags, id, bytes), opens: false });
      }),
  },
);

function framesOf(makers: readonly FrameMaker[]): Buffer[] {
  let opened = 0;
  return makers.map((make) => {
    const { bytes, opens } = make(opened);
    opened += opens ? 1 : 0;
    return bytes;
  });
}

/** What must hold whatever was sent. */
function checkServer(server: VirtualServer): void {
  const { connection } = server;
  if (server.closeWanted) {
    expect(connection.streamCount).toBe(0);
    expect(goawayOf(server.parser.frames)).toBeDefined();
  }
  connection.gone();
  expect(connection.bufferedBytes).toBe(0);
  expect(server.deadlines).toBe(0);
}

describe("fuzz", () => {
  test("any bytes after the preface", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 20 }), (chunks) => {
        const server = new VirtualServer().greet().send(...chunks);
        checkServer(server);
      }),
      { numRuns: 2_000 },
    );
  });

  test("any frames", () => {
    let closed = 0;
    let answered = 0;
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 40 }), (makers) => {
        const server = new VirtualServer().greet().send(...framesOf(makers));
        closed += server.closeWanted ? 1 : 0;
        answered += server.seen.ended.some(({ status }) => status === 0) ? 1 : 0;
        checkServer(server);
      }),
      { numRuns: 3_000 },
    );
    // The frames are neither all nonsense nor all well-behaved.
    expect(closed).toBeGreaterThan(100);
    expect(answered).toBeGreaterThan(100);
  });

  test("frames broken in one place", () => {
    const talk = conversation();
    fc.assert(
      fc.property(fc.nat(talk.length - 1), fc.nat(255), (at, value) => {
        const bytes = Buffer.from(talk);
        bytes[at] = value;
        const server = new VirtualServer().send(bytes);
        checkServer(server);
      }),
      { numRuns: 2_000 },
    );
  });

  test("an honest conversation reads the same however it is cut", () => {
    const talk = conversation();
    const whole = summary(new VirtualServer().send(talk));
    expect(whole.data[0]).toBe("hello");
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 }), (sizes) => {
        const server = new VirtualServer();
        let at = 0;
        for (let i = 0; at < talk.length; i++) {
          const size = sizes[i % sizes.length] ?? 1;
          server.send(talk.subarray(at, at + size));
          at += size;
        }
        expect(summary(server)).toEqual(whole);
      }),
      { numRuns: 300 },
    );
  });

  test("replies through windows of any size are whole and in order", () => {
    const step = fc.record({
      id: fc.constantFrom(0, 1, 3),
      bytes: fc.integer({ min: 1, max: 9_000 }),
    });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.nat(3_000),
        fc.nat(5_000),
        (steps, window, size) => {
          const body = new Uint8Array(size).map((_, i) => i % 251);
          const server = new VirtualServer().greet([settingId.initialWindowSize, window]);
          server.send(unaryRequest(1, "Unary", body), unaryRequest(3, "Unary", body));
          const allowed = { 1: window, 3: window };
          for (const { id, bytes } of steps) {
            server.send(windowUpdate(id, bytes));
            if (id === 1 || id === 3) {
              allowed[id] += bytes;
            }
          }
          const expected = grpcMessage(body);
          for (const id of [1, 3] as const) {
            const got = dataOf(server.parser.frames, id);
            expect(got).toEqual(expected.subarray(0, Math.min(expected.length, allowed[id])));
            const complete = headersOf(server.parser.frames, id).length === 2;
            expect(complete).toBe(got.length === expected.length);
          }
        },
      ),
    );
  });
});

/** All that an honest client says in one connection. */
function conversation(): Buffer {
  const large = grpcMessage(new Uint8Array(5_000).fill(7));
  return Buffer.concat([
    prefaceBytes,
    settings([settingId.initialWindowSize, 1_000_000]),
    settingsAck,
    windowUpdate(0, 1_000_000),
    unaryRequest(1, "Unary", utf8("hello")),
    headers(3, "/test.Echo/Chat"),
    data(3, large.subarray(0, 3), false),
    unaryRequest(5, "Fail", utf8("9:no")),
    data(3, large.subarray(3, 2_000), false),
    frame(6, 0, 0, new Uint8Array(8)),
    headers(7, "/test.Echo/Upload", 0),
    frame(9, 4, 7, headerBlock([["x", "y"]])),
    data(7, Buffer.concat([grpcMessage(utf8("a")), large, grpcMessage(utf8("b"))]), true),
    data(3, large.subarray(2_000), false),
    data(3, new Uint8Array(0), true),
    headers(9, "/test.Echo/Control"),
    reset(9),
    unaryRequest(11, "Nothing", utf8("x")),
  ]);
}

/** What a client got: per stream, its data and headers. */
function summary(server: VirtualServer): { data: string[]; headers: unknown[]; goaway: unknown } {
  const ids = [1, 3, 5, 7, 9, 11];
  const { frames } = server.parser;
  return {
    data: ids.map((id) => dataOf(frames, id).subarray(5).toString("latin1")),
    headers: ids.map((id) => headersOf(frames, id)),
    goaway: goawayOf(frames),
  };
}
