// gRPC over HTTP/2 on the wire: what the direct implementation answers, in grpc-go's words, and
// what a client library would not send.

import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/base/index.ts";
import type { HttpReply, HttpRequest } from "../../src/grpc/index.ts";
import { encodeMessage, isGrpcContentType, parseTimeout } from "../../src/grpc/grpc-text.ts";
import { errorCode, frameFlag } from "../../src/grpc/frame.ts";
import {
  data,
  dataOf,
  frame,
  grpcMessage,
  headerBlock,
  headers,
  headersOf,
  requestFields,
  resetCode,
  settings,
  unaryRequest,
  windowUpdate,
} from "./raw-h2.ts";
import { VirtualServer } from "./virtual-server.ts";

type Fields = readonly (readonly [string, string])[];

function withField(name: string, value: string): Fields {
  return [...requestFields("/test.Echo/Unary").filter(([one]) => one !== name), [name, value]];
}

function ask(server: VirtualServer, fields: Fields, ...body: readonly Uint8Array[]): void {
  const flags = frameFlag.endHeaders | (body.length === 0 ? frameFlag.endStream : 0);
  server.send(frame(1, flags, 1, headerBlock(fields)), ...body);
}

function answerTo(
  fields: Fields,
  ...body: readonly Uint8Array[]
): Readonly<Record<string, string>> {
  const server = new VirtualServer().greet();
  ask(server, fields, ...body);
  return headersOf(server.parser.frames, 1)[0] ?? {};
}

describe("requests that are refused", () => {
  test.each([
    ["/test.Echo/Nothing", "unknown method Nothing for service test.Echo"],
    ["/test.None/Unary", "unknown service test.None"],
    ["test.Echo/Unary", 'malformed method name: "test.Echo/Unary"'],
    ["/Unary", 'malformed method name: "/Unary"'],
    ["//", "unknown service "],
    ["/test.Echo/Unary/", "unknown service test.Echo/Unary"],
    ["/test.Echo//Unary", "unknown service test.Echo/"],
    ["*", 'malformed method name: "*"'],
  ])("path %s is UNIMPLEMENTED", (path, text) => {
    const answer = answerTo(requestFields(path), data(1, grpcMessage(utf8("x"))));
    expect(answer).toEqual({
      ":status": "200",
      "content-type": "application/grpc",
      "grpc-status": "12",
      "grpc-message": text,
    });
  });

  test.each(["text/plain", "application/json", "application/grpcx", "application/gr"])(
    "content-type %s is HTTP 415",
    (contentType) => {
      const answer = answerTo(withField("content-type", contentType));
      expect(answer).toMatchObject({ ":status": "415", "grpc-status": "13" });
    },
  );

  test("another method than POST is HTTP 405, a bad timeout HTTP 400", () => {
    const fields = requestFields("/test.Echo/Unary");
    const got = fields.map(([name, value]) => [name, name === ":method" ? "GET" : value] as const);
    expect(answerTo(got)[":status"]).toBe("405");
    const late = answerTo(withField("grpc-timeout", "10x"));
    expect(late).toMatchObject({ ":status": "400", "grpc-status": "13" });
  });

  test("a compressed message is UNIMPLEMENTED, and told what is understood", () => {
    const compressed = Buffer.concat([Buffer.from([1, 0, 0, 0, 1]), utf8("x")]);
    expect(answerTo(withField("grpc-encoding", "gzip"), data(1, compressed))).toEqual({
      ":status": "200",
      "content-type": "application/grpc",
      "grpc-status": "12",
      "grpc-message": 'grpc: Decompressor is not installed for grpc-encoding "gzip"',
      "grpc-accept-encoding": "identity",
    });
    expect(answerTo(requestFields("/test.Echo/Unary"), data(1, compressed))).toMatchObject({
      "grpc-status": "13",
      "grpc-message": "grpc: compressed flag set with identity or empty encoding",
    });
    // Encoding announced and not used is no fault.
    const server = new VirtualServer().greet();
    ask(server, withField("grpc-encoding", "gzip"), data(1, grpcMessage(utf8("x"))));
    expect(headersOf(server.parser.frames, 1)[1]).toEqual({ "grpc-status": "0" });
  });

  test.each([
    ["no message", [data(1, new Uint8Array(0))], "13", "EOF"],
    ["half a prefix", [data(1, Uint8Array.of(0, 0))], "13", "unexpected EOF"],
    ["half a message", [data(1, Uint8Array.of(0, 0, 0, 0, 9, 1))], "13", "unexpected EOF"],
    [
      "a bad flag",
      [data(1, Uint8Array.of(7, 0, 0, 0, 0))],
      "13",
      "grpc: received unexpected payload format 7",
    ],
    [
      "two messages",
      [data(1, Buffer.concat([grpcMessage(utf8("a")), grpcMessage(utf8("b"))]))],
      "13",
      "a unary call got a second message",
    ],
    [
      "a message too large",
      [data(1, Uint8Array.of(0, 0, 1, 0x86, 0xa1), false)],
      "8",
      "grpc: received message larger than max (100001 vs. 100000)",
    ],
    [
      "a message far too large",
      [data(1, Uint8Array.of(0, 255, 255, 255, 255), false)],
      "8",
      "grpc: received message larger than max (4294967295 vs. 100000)",
    ],
  ])("unary request with %s", (_, body, status, text) => {
    const answer = answerTo(requestFields("/test.Echo/Unary"), ...body);
    expect(answer).toMatchObject({ ":status": "200", "grpc-status": status, "grpc-message": text });
  });

  test("no request at all", () => {
    expect(answerTo(requestFields("/test.Echo/Unary"))["grpc-message"]).toBe("EOF");
  });

  test("a refused stream is told to stop sending", () => {
    const server = new VirtualServer().greet();
    server.send(headers(1, "/test.Echo/Nothing"), data(1, new Uint8Array(9), false));
    expect(resetCode(server.parser.frames, 1)).toBe(errorCode.noError);
    expect(server.connection.streamCount).toBe(0);
  });
});

describe("answers", () => {
  test("a unary answer, on the wire", () => {
    const server = new VirtualServer().greet();
    server.send(unaryRequest(1, "Unary", utf8("hi")), unaryRequest(3, "Unary", utf8("ho")));
    const own = server.parser.frames.filter(({ streamId }) => streamId === 3);
    expect(own.map(({ type, flags, payload }) => [type, flags, payload.toString("hex")])).toEqual([
      [1, 4, "88bf"],
      [0, 0, "00000000026" + "86f"],
      [1, 5, "be"],
    ]);
  });

  test("a client without a header table gets literals", () => {
    const server = new VirtualServer().greet([1, 0]);
    server.send(unaryRequest(1, "Unary", utf8("hi")), settings([1, 4_096]));
    server.send(unaryRequest(3, "Unary", utf8("hi")), unaryRequest(5, "Unary", utf8("hi")));
    for (const id of [1, 3, 5]) {
      expect(headersOf(server.parser.frames, id)).toEqual([
        { ":status": "200", "content-type": "application/grpc" },
        { "grpc-status": "0" },
      ]);
    }
  });

  test("an error behind a message that is half sent resets the stream", () => {
    const server = new VirtualServer().greet([4, 10]);
    server.send(
      headers(1, "/test.Echo/FailStream"),
      data(1, grpcMessage(utf8("0123456789")), false),
    );
    expect(dataOf(server.parser.frames, 1)).toHaveLength(10);
    server.send(windowUpdate(1, 100));
    // The handler ended it after the message: the trailers wait for it.
    expect(headersOf(server.parser.frames, 1)[1]).toEqual({
      "grpc-status": "9",
      "grpc-message": "after one",
    });
  });

  test("a deadline that passes in mid-message resets, one between messages has a status", () => {
    const server = new VirtualServer().greet([4, 10]);
    server.send(headers(1, "/test.Echo/Control"), headers(3, "/test.Echo/Control"));
    server.seen.streams[0]?.write(utf8("0123456789"));
    server.flush();
    for (const call of [...server.connection.streams]) {
      call.expire();
    }
    server.flush();
    expect(resetCode(server.parser.frames, 1)).toBe(errorCode.cancel);
    expect(headersOf(server.parser.frames, 3)[0]).toMatchObject({
      "grpc-status": "4",
      "grpc-message": "context deadline exceeded",
    });
    expect(server.seen.cancelled).toHaveLength(2);
    expect(server.seen.ended.map(({ status }) => status)).toEqual([4, 4]);
    expect(server.connection.bufferedBytes).toBe(0);
  });
});

describe("plain HTTP/2", () => {
  const get: Fields = [
    [":method", "GET"],
    [":scheme", "http"],
    [":authority", "host:1"],
    [":path", "/health?x=1"],
    ["accept", "*/*"],
  ];

  function httpServer(answer: (request: HttpRequest) => HttpReply | Promise<HttpReply>) {
    return new VirtualServer({ onHttpRequest: answer }).greet();
  }

  test("GET with a body in the answer", () => {
    let seen: HttpRequest | undefined;
    const server = httpServer((request) => {
      seen = request;
      return { status: 200, headers: [["content-type", "text/plain"]], body: utf8("fine") };
    });
    ask(server, get);
    expect(seen).toMatchObject({ method: "GET", path: "/health?x=1", authority: "host:1" });
    expect(seen?.header("accept")).toBe("*/*");
    expect(headersOf(server.parser.frames, 1)).toEqual([
      { ":status": "200", "content-type": "text/plain", "content-length": "4" },
    ]);
    expect(dataOf(server.parser.frames, 1).toString()).toBe("fine");
    expect(server.parser.frames.at(-1)?.flags).toBe(frameFlag.endStream);
    expect(server.connection.streamCount).toBe(0);
  });

  test("POST: the body is whole, whatever its pieces; a large answer keeps the windows", async () => {
    const server = httpServer(async (request) => ({
      status: 201,
      headers: [],
      body: Buffer.concat(Array.from({ length: 10_000 }, () => request.body)),
    }));
    const post = get.map(([name, value]) => [name, name === ":method" ? "POST" : value] as const);
    ask(server, post, data(1, utf8("0123"), false), data(1, utf8("456789")));
    await Promise.resolve();
    await Promise.resolve();
    server.flush();
    expect(dataOf(server.parser.frames, 1)).toHaveLength(65_535);
    server.send(windowUpdate(0, 100_000), windowUpdate(1, 100_000));
    expect(dataOf(server.parser.frames, 1).toString()).toBe("0123456789".repeat(10_000));
  });

  test("a body that is too large is 413, a handler that fails 500, HEAD has no body", async () => {
    const server = httpServer(() => ({ status: 200, headers: [], body: utf8("fine") }));
    const post = get.map(([name, value]) => [name, name === ":method" ? "POST" : value] as const);
    server.send(frame(1, 4, 1, headerBlock(post)));
    for (let i = 0; i < 7; i++) {
      server.send(data(1, new Uint8Array(16_000), false));
    }
    expect(headersOf(server.parser.frames, 1)[0]?.[":status"]).toBe("413");
    expect(server.connection.bufferedBytes).toBe(0);
    const head = get.map(([name, value]) => [name, name === ":method" ? "HEAD" : value] as const);
    server.send(frame(1, 5, 3, headerBlock(head)));
    expect(headersOf(server.parser.frames, 3)[0]).toEqual({
      ":status": "200",
      "content-length": "4",
    });
    expect(dataOf(server.parser.frames, 3)).toHaveLength(0);
  });

  test("gRPC on the same connection is not disturbed", () => {
    const server = httpServer(() => ({ status: 200, headers: [], body: utf8("fine") }));
    ask(server, get);
    server.send(unaryRequest(3, "Unary", utf8("x")));
    expect(headersOf(server.parser.frames, 3)).toHaveLength(2);
  });
});

describe("text", () => {
  test("timeouts", () => {
    const given = ["1H", "2M", "3S", "4m", "5000u", "6000000n", "99999999S", "0m"];
    const expected = [3_600_000, 120_000, 3_000, 4, 5, 6, 99_999_999_000, 0];
    given.forEach((text, i) => expect(parseTimeout(text)).toBeCloseTo(expected[i] ?? -1, 6));
    for (const text of ["", "1", "S", "123456789S", "-1S", "1.5S", " 1S", "1s"]) {
      expect([text, parseTimeout(text)]).toEqual([text, undefined]);
    }
  });

  test("content types", () => {
    const good = ["application/grpc", "application/grpc+proto", "application/grpc;a=b"];
    expect(good.every(isGrpcContentType)).toBe(true);
    expect(isGrpcContentType("Application/gRPC+json")).toBe(true);
    expect(["", "application/grpc-web", "application/grp"].some(isGrpcContentType)).toBe(false);
  });

  test("messages are percent-encoded, and cut when they are too long", () => {
    expect(encodeMessage("a b%\n\u00e9")).toBe("a b%25%0A%C3%A9");
    expect(encodeMessage("x".repeat(10_000))).toHaveLength(4_096);
  });
});
