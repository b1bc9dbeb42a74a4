// HPACK against the examples of RFC 7541 appendix C, the whole Huffman table of appendix B, and
// inputs that nobody wrote by hand.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HpackDecoder, HpackError } from "../../src/grpc/hpack-decoder.ts";
import { HpackEncoder, pushInteger } from "../../src/grpc/hpack-encoder.ts";
import { huffmanDecode } from "../../src/grpc/hpack-huffman.ts";
import { huffmanEncode, huffmanTable } from "./huffman-table.ts";

const limits = { headerFieldsMax: 128, headerListBytesMax: 16_384 };

function hex(text: string): Uint8Array {
  return Buffer.from(text.replaceAll(/\s+/g, ""), "hex");
}

function decode(decoder: HpackDecoder, bytes: Uint8Array): string[] {
  return decoder.decode(bytes, 0, bytes.length).map(({ name, value }) => `${name}: ${value}`);
}

describe("RFC 7541 appendix C", () => {
  test("C.1 integers", () => {
    const encoded = (value: number, bits: number): number[] => {
      const bytes: number[] = [];
      pushInteger(bytes, value, bits, 0);
      return bytes;
    };
    expect(encoded(10, 5)).toEqual([0x0a]);
    expect(encoded(1337, 5)).toEqual([0x1f, 0x9a, 0x0a]);
    expect(encoded(42, 8)).toEqual([0x2a]);
  });

  test("C.2 single fields", () => {
    const decoder = new HpackDecoder(limits);
    const custom = hex("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572");
    expect(decode(decoder, custom)).toEqual(["custom-key: custom-header"]);
    expect(decoder.tableSizeBytes).toBe(55);
    const path = hex("040c 2f73 616d 706c 652f 7061 7468");
    expect(decode(decoder, path)).toEqual([":path: /sample/path"]);
    const secret = hex("1008 7061 7373 776f 7264 0673 6563 7265 74");
    expect(decode(decoder, secret)).toEqual(["password: secret"]);
    expect(decode(decoder, hex("82"))).toEqual([":method: GET"]);
    expect(decoder.tableSizeBytes).toBe(55);
  });

  const first = [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"];
  const second = [...first, "cache-control: no-cache"];
  const third = [
    ":method: GET",
    ":scheme: https",
    ":path: /index.html",
    ":authority: www.example.com",
    "custom-key: custom-value",
  ];

  test.each([
    [
      "C.3 without Huffman",
      [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
      ],
    ],
    [
      "C.4 with Huffman",
      [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
      ],
    ],
  ])("%s: three requests on one connection", (_, blocks) => {
    const decoder = new HpackDecoder(limits);
    expect(blocks.map((block) => decode(decoder, hex(block)))).toEqual([first, second, third]);
    expect(decoder.tableSizeBytes).toBe(164);
  });

  const date = (seconds: number): string => `date: Mon, 21 Oct 2013 20:13:${seconds} GMT`;
  const location = "location: https://www.example.com";
  const privately = "cache-control: private";
  const responses = [
    [":status: 302", privately, date(21), location],
    [":status: 307", privately, date(21), location],
    [
      ":status: 200",
      privately,
      date(22),
      location,
      "content-encoding: gzip",
      "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
    ],
  ];

  test.each([
    [
      "C.5 without Huffman",
      [
        `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
         2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
         6c65 2e63 6f6d`,
        "4803 3330 37c1 c0bf",
        `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
         54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
         5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
         3d31`,
      ],
    ],
    [
      "C.6 with Huffman",
      [
        `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
         2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
        "4883 640e ffc1 c0bf",
        `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
         77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
         9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
      ],
    ],
  ])("%s: three responses through a table of 256 bytes", (_, blocks) => {
    const decoder = new HpackDecoder(limits);
    decode(decoder, hex("3fe1 01"));
    expect(blocks.map((block) => decode(decoder, hex(block)))).toEqual(responses);
    expect(decoder.tableSizeBytes).toBe(215);
  });
});

describe("Huffman", () => {
  const target = new Uint8Array(4_096);

  test("every symbol of appendix B, alone and in runs", () => {
    expect(huffmanTable).toHaveLength(257);
    for (let symbol = 0; symbol < 256; symbol++) {
      for (const count of [1, 2, 3, 8]) {
        const plain = new Uint8Array(count).fill(symbol);
        const encoded = huffmanEncode(plain);
        const length = huffmanDecode(encoded, 0, encoded.length, target);
        expect(Array.from(target.subarray(0, length))).toEqual(Array.from(plain));
      }
    }
  });

  test("any bytes come back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (plain) => {
        const encoded = huffmanEncode(plain);
        const length = huffmanDecode(encoded, 0, encoded.length, target);
        return Buffer.compare(target.subarray(0, length), plain) === 0;
      }),
    );
  });

  test("padding longer than 7 bits, padding with zeros and end-of-string are refused", () => {
    const bad = ["ff", "ffff", "07ff", "1c", "18", "fffffffc", "ffffffff"];
    for (const text of bad) {
      const bytes = hex(text);
      expect([text, huffmanDecode(bytes, 0, bytes.length, target)]).toEqual([text, -1]);
    }
    expect(huffmanDecode(hex("07"), 0, 1, target)).toBe(1);
  });
});

describe("decoder", () => {
  test("any bytes decode, or are refused with HpackError, within the limits", () => {
    let refused = 0;
    let decoded = 0;
    const block = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(fc.constantFrom(0x82, 0xbe, 0x40, 0x0f, 0x3f, 0x20, 0x81, 0x00, 0x01, 0x61, 0xff), {
        maxLength: 60,
      }),
    );
    fc.assert(
      fc.property(fc.array(block, { minLength: 1, maxLength: 5 }), (blocks) => {
        const decoder = new HpackDecoder(limits);
        try {
          for (const bytes of blocks) {
            const fields = decoder.decode(Uint8Array.from(bytes), 0, bytes.length);
            const size = fields.reduce((sum, field) => sum + field.sizeBytes, 0);
            expect(fields.length).toBeLessThanOrEqual(limits.headerFieldsMax);
            expect(size).toBeLessThanOrEqual(limits.headerListBytesMax);
            expect(decoder.tableSizeBytes).toBeLessThanOrEqual(4_096);
            decoded++;
          }
        } catch (error) {
          if (!(error instanceof HpackError)) {
            throw error;
          }
          refused++;
        }
      }),
      { numRuns: 5_000 },
    );
    expect(Math.min(refused, decoded)).toBeGreaterThan(100);
  });

  test("what a plain encoder with a table sends comes back, whatever is evicted", () => {
    const text = fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 40 });
    const field = fc.record({ name: text, value: text, huffman: fc.boolean() });
    const step = fc.oneof(
      { weight: 8, arbitrary: fc.array(field, { maxLength: 12 }) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 4_096 }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const decoder = new HpackDecoder(limits);
        const model = new ModelEncoder();
        for (const one of steps) {
          if (typeof one === "number") {
            model.resize(one);
            continue;
          }
          const block = model.encode(one);
          const expected = one.map(({ name, value }) => `${name}: ${value}`);
          expect(decode(decoder, block)).toEqual(expected);
          expect(decoder.tableSizeBytes).toBe(model.sizeBytes);
        }
      }),
    );
  });

  test("a size update in the middle, a third one, and one beyond the setting", () => {
    for (const text of ["82 20", "20 20 20 82", "3fe2 1f"]) {
      const decoder = new HpackDecoder(limits);
      expect(() => decode(decoder, hex(text)), text).toThrow(HpackError);
    }
    expect(decode(new HpackDecoder(limits), hex("20 3fe1 1f 82"))).toEqual([":method: GET"]);
  });
});

/** HPACK as plainly as it can be written: every field indexed, the table a list. */
class ModelEncoder {
  #table: { name: string; value: string }[] = [];
  #maxBytes = 4_096;
  #updates: number[] = [];
  sizeBytes = 0;

  resize(maxBytes: number): void {
    this.#updates = [...this.#updates, maxBytes].slice(-2);
    this.#maxBytes = maxBytes;
    this.#evict(maxBytes);
  }

  encode(fields: readonly { name: string; value: string; huffman: boolean }[]): Uint8Array {
    const bytes: number[] = [];
    for (const update of this.#updates) {
      pushInteger(bytes, update, 5, 0x20);
    }
    this.#updates = [];
    for (const { name, value, huffman } of fields) {
      const index = this.#table.findIndex((one) => one.name === name && one.value === value);
      if (index >= 0) {
        pushInteger(bytes, 62 + index, 7, 0x80);
        continue;
      }
      const named = this.#table.findIndex((one) => one.name === name);
      pushInteger(bytes, named < 0 ? 0 : 62 + named, 6, 0x40);
      if (named < 0) {
        pushText(bytes, name, huffman);
      }
      pushText(bytes, value, huffman);
      const size = name.length + value.length + 32;
      this.#evict(this.#maxBytes - size);
      if (size <= this.#maxBytes) {
        this.#table.unshift({ name, value });
        this.sizeBytes += size;
      }
    }
    return Uint8Array.from(bytes);
  }

  #evict(maxBytes: number): void {
    while (this.sizeBytes > Math.max(0, maxBytes)) {
      const last = this.#table.pop();
      this.sizeBytes -= (last?.name.length ?? 0) + (last?.value.length ?? 0) + 32;
    }
  }
}

function pushText(bytes: number[], text: string, huffman: boolean): void {
  const plain = Buffer.from(text, "latin1");
  const octets = huffman ? huffmanEncode(plain) : plain;
  pushInteger(bytes, octets.length, 7, huffman ? 0x80 : 0);
  bytes.push(...octets);
}

describe("encoder", () => {
  const headersText = [":status: 200", "content-type: application/grpc"];
  const okText = ["grpc-status: 0"];

  test("answers shrink to two bytes and one, once the peer's table holds them", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(limits);
    for (let i = 0; i < 3; i++) {
      expect(decode(decoder, encoder.okHeaders())).toEqual(headersText);
      expect(decode(decoder, encoder.okTrailers())).toEqual(okText);
    }
    expect(encoder.steady).toBe(true);
    expect(encoder.okHeaders()).toHaveLength(2);
    expect(encoder.okTrailers()).toHaveLength(1);
  });

  test("any order of answers and table sizes is understood", () => {
    const action = fc.oneof(
      fc.constantFrom("headers", "trailers", "error", "only", "http"),
      fc.oneof(fc.constantFrom(0, 59, 103, 104, 105, 4_096, 65_536), fc.nat(5_000)),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
        const encoder = new HpackEncoder();
        const decoder = new HpackDecoder(limits);
        for (const one of actions) {
          if (typeof one === "number") {
            encoder.setTableSize(one);
          } else {
            checkBlock(encoder, decoder, one);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  function checkBlock(encoder: HpackEncoder, decoder: HpackDecoder, kind: string): void {
    switch (kind) {
      case "headers":
        expect(decode(decoder, encoder.okHeaders())).toEqual(headersText);
        break;
      case "trailers":
        expect(decode(decoder, encoder.okTrailers())).toEqual(okText);
        break;
      case "error":
        expect(decode(decoder, encoder.errorTrailers(9, "no"))).toEqual([
          "grpc-status: 9",
          "grpc-message: no",
        ]);
        break;
      case "only":
        expect(decode(decoder, encoder.trailersOnly(415, 13, "no", [["a", "b"]]))).toEqual([
          ":status: 415",
          "content-type: application/grpc",
          "grpc-status: 13",
          "grpc-message: no",
          "a: b",
        ]);
        break;
      default:
        expect(decode(decoder, encoder.httpHeaders(404, [["x", "y"]]))).toEqual([
          ":status: 404",
          "x: y",
        ]);
    }
  }

  test("the peer's table never is taken to be larger than it is", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(limits);
    encoder.setTableSize(0);
    const block = encoder.okHeaders();
    expect(block[0]).toBe(0x20);
    expect(decode(decoder, block)).toEqual(headersText);
    expect(decoder.tableSizeBytes).toBe(0);
    encoder.setTableSize(4_096);
    expect(decode(decoder, encoder.okHeaders())).toEqual(headersText);
    expect(decoder.tableSizeBytes).toBe(60);
  });
});
