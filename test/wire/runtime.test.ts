import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { DecodeError, equalBytes } from "../../src/base/index.ts";
import {
  AlarmRequest,
  KeyValue,
  LeaseExpiry,
  LeaseGrantRequest,
  messageDepthMax,
  PutRequest,
  Reader,
  ResponseHeader,
  TxnRequest,
  WatchCreateRequest,
  Writer,
} from "../../src/wire/index.ts";
import { codecOf, decodeOrError } from "./messages.ts";

function bytesOf(...bytes: number[]): Uint8Array {
  return new Uint8Array(bytes);
}

function varintOf(value: bigint): number[] {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest >= 0x80n) {
    out.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  out.push(Number(rest));
  return out;
}

describe("numbers", () => {
  test("varints agree with a bigint model at every length", () => {
    const writer = new Writer();
    for (let bit = 0n; bit < 64n; bit++) {
      for (const value of [1n << bit, (1n << bit) - 1n, (1n << bit) + 1n]) {
        writer.begin();
        writer.big64(value);
        const big = writer.finish();
        expect([...big]).toEqual(varintOf(value));
        expect(new Reader(big).uint64Big()).toBe(BigInt.asUintN(64, value));
      }
    }
  });

  test("so do counters, up or down, to the end of the safe range", () => {
    const writer = new Writer();
    const bits = [...Array(54).keys()].map((bit) => 2 ** bit);
    const values = bits.flatMap((power) => [power - 1, power, power + 1]);
    for (const value of values.filter((one) => one <= Number.MAX_SAFE_INTEGER)) {
      writer.begin();
      writer.uint64(value);
      const bytes = writer.finish();
      expect([...bytes]).toEqual(varintOf(BigInt(value)));
      expect(new Reader(bytes).uint64()).toBe(value);
      writer.begin();
      writer.int64(-value);
      const negative = writer.finish();
      expect([...negative]).toEqual(varintOf(-BigInt(value)));
      expect(new Reader(negative).int64()).toBe(0 - value);
    }
  });

  test("a client's int64 beyond the safe range is clamped", () => {
    const ttl = (value: bigint): number =>
      LeaseGrantRequest.decode(bytesOf(0x08, ...varintOf(value))).ttl;
    expect(ttl(2n ** 63n - 1n)).toBe(Number.MAX_SAFE_INTEGER);
    expect(ttl(2n ** 53n)).toBe(Number.MAX_SAFE_INTEGER);
    expect(ttl(-(2n ** 63n))).toBe(-Number.MAX_SAFE_INTEGER);
    expect(ttl(-1n)).toBe(-1);
  });

  test("a uint64 counter beyond the safe range is an error", () => {
    const term = (value: bigint): number =>
      ResponseHeader.decode(bytesOf(0x20, ...varintOf(value))).raftTerm;
    expect(term(2n ** 53n - 1n)).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => term(2n ** 53n)).toThrow(DecodeError);
  });

  test("identities keep all 64 bits and their sign", () => {
    const put = PutRequest.create({ lease: -2n });
    expect(PutRequest.decode(PutRequest.encode(put)).lease).toBe(-2n);
    const alarm = AlarmRequest.create({ memberId: 2n ** 64n - 1n });
    expect(AlarmRequest.decode(AlarmRequest.encode(alarm)).memberId).toBe(2n ** 64n - 1n);
  });

  test("an enum of any number survives", () => {
    const bytes = bytesOf(0x08, ...varintOf(-1n));
    expect(AlarmRequest.decode(bytes).action).toBe(-1);
  });

  test("repeated numbers are read packed and one by one", () => {
    expect(WatchCreateRequest.decode(bytesOf(0x2a, 2, 0, 1)).filters).toEqual([0, 1]);
    expect(WatchCreateRequest.decode(bytesOf(0x28, 1, 0x28, 0)).filters).toEqual([1, 0]);
    expect(LeaseExpiry.decode(bytesOf(0x12, 1, 7, 0x10, 9)).ids).toEqual([7n, 9n]);
  });
});

describe("malformed input", () => {
  const cases: readonly [string, Uint8Array][] = [
    ["truncated tag", bytesOf(0x80)],
    ["truncated length", bytesOf(0x0a)],
    ["truncated bytes", bytesOf(0x0a, 5, 1)],
    ["length beyond 32 bits", bytesOf(0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01)],
    ["varint of eleven bytes", bytesOf(0x10, ...Array<number>(10).fill(0x80), 1)],
    ["varint beyond 64 bits", bytesOf(0x10, ...Array<number>(9).fill(0xff), 2)],
    ["field number 0", bytesOf(0x02, 0)],
    ["group", bytesOf(0x7b, 0x7c)],
    ["end of group", bytesOf(0x0c)],
    ["wire type 6", bytesOf(0x0e)],
    ["wire type 7", bytesOf(0x0f)],
    ["unknown fixed64 cut short", bytesOf(0x79, 1, 2)],
    ["unknown fixed32 cut short", bytesOf(0x7d, 1, 2)],
    ["unknown bytes cut short", bytesOf(0x7a, 9, 2)],
  ];
  test.each(cases)("%s", (_name, bytes) => {
    expect(() => KeyValue.decode(bytes)).toThrow(DecodeError);
  });

  test("random bytes give a message or DecodeError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(decodeOrError(codecOf("etcdserverpb.TxnRequest"), bytes)).toBeDefined();
      }),
      { numRuns: 3000 },
    );
  });

  test("an embedded message cannot read past its end", () => {
    const inner = [0x0a, 5, 1];
    const bytes = bytesOf(0x0a, inner.length, ...inner, 1, 2, 3, 4);
    expect(() => TxnRequest.decode(bytes)).toThrow(DecodeError);
  });

  test("text must be UTF-8, bytes need not be", () => {
    expect(() => new Reader(bytesOf(2, 0xc3, 0x28)).string()).toThrow(DecodeError);
    expect(() => new Reader(bytesOf(1, 0xff)).string()).toThrow(DecodeError);
    expect(new Reader(bytesOf(3, 0xef, 0xbb, 0xbf)).string()).toBe("\ufeff");
    expect(new Reader(bytesOf(1, 0xff)).bytes()).toEqual(bytesOf(0xff));
  });

  test("nesting is bounded, and the bound itself is allowed", () => {
    const nested = (levels: number): Uint8Array => {
      let bytes = bytesOf();
      for (let i = 0; i < levels; i++) {
        const field = i % 2 === 0 ? 0x22 : 0x12;
        const writer = new Writer();
        writer.begin();
        writer.bytes(bytes);
        writer.tag(field);
        bytes = writer.finish().slice();
      }
      return bytes;
    };
    expect(() => TxnRequest.decode(nested(messageDepthMax))).not.toThrow();
    expect(() => TxnRequest.decode(nested(messageDepthMax + 2))).toThrow(DecodeError);
    expect(() => TxnRequest.decode(nested(20_000))).toThrow(DecodeError);
  });

  test("unknown fields are skipped", () => {
    const bytes = bytesOf(
      ...[0xf8, 0x3f, 5],
      ...[0xf9, 0x3f, 1, 2, 3, 4, 5, 6, 7, 8],
      ...[0xfa, 0x3f, 2, 9, 9],
      ...[0xfd, 0x3f, 1, 2, 3, 4],
      ...[0x0a, 1, 65],
    );
    expect(KeyValue.decode(bytes).key).toEqual(bytesOf(65));
  });

  test("a known field of another wire type is skipped", () => {
    expect(KeyValue.decode(bytesOf(0x08, 7, 0x12, 1, 1))).toEqual(KeyValue.create());
  });
});

describe("writer", () => {
  test("results are exact, independent and survive later use and slab changes", () => {
    const kept: { readonly bytes: Uint8Array; readonly message: KeyValue }[] = [];
    for (let i = 0; i < 300; i++) {
      const message = KeyValue.create({
        key: new Uint8Array(i).fill(i),
        value: new Uint8Array((i * 7919) % 3000).fill(i + 1),
        version: i,
      });
      kept.push({ bytes: KeyValue.encode(message), message });
    }
    for (const { bytes, message } of kept) {
      const back = KeyValue.decode(bytes);
      expect(equalBytes(back.key, message.key)).toBe(true);
      expect(equalBytes(back.value, message.value)).toBe(true);
      expect(back.version).toBe(message.version);
    }
  });

  test("messages larger than the slab", () => {
    for (const size of [65_535, 65_536, 65_537, 1_500_000]) {
      const message = PutRequest.create({ key: bytesOf(1), value: new Uint8Array(size).fill(7) });
      const back = PutRequest.decode(PutRequest.encode(message));
      expect(equalBytes(back.value, message.value)).toBe(true);
      expect(back.key).toEqual(message.key);
    }
  });

  test("a message given up halfway leaves no trace", () => {
    const writer = new Writer();
    writer.begin();
    writer.bytes(bytesOf(1, 2, 3));
    writer.begin();
    writer.uint64(5);
    expect(writer.finish()).toEqual(bytesOf(5));
  });
});
