// Bytes that were valid once: edits that keep most of the structure, so that they get deep.

import fc from "fast-check";

type Edit =
  | { readonly kind: "flip"; readonly at: number; readonly bit: number }
  | { readonly kind: "set"; readonly at: number; readonly value: number }
  | { readonly kind: "number"; readonly at: number; readonly value: number; readonly width: number }
  | { readonly kind: "insert"; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: "remove"; readonly at: number; readonly length: number }
  | { readonly kind: "repeat"; readonly at: number; readonly length: number }
  | { readonly kind: "cut"; readonly at: number };

const place = fc.nat(0xffff_ffff);
const interesting = fc.constantFrom(
  0,
  1,
  0x7f,
  0x80,
  0xff,
  0x7fff,
  0xffff,
  0x7fff_ffff,
  0x8000_0000,
  0xffff_ffff,
);

const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ kind: fc.constant("flip" as const), at: place, bit: fc.nat(7) }),
  fc.record({ kind: fc.constant("set" as const), at: place, value: fc.nat(255) }),
  fc.record({
    kind: fc.constant("number" as const),
    at: place,
    value: fc.oneof(interesting, place),
    width: fc.constantFrom(1, 2, 3, 4, 6),
  }),
  fc.record({
    kind: fc.constant("insert" as const),
    at: place,
    bytes: fc.uint8Array({ minLength: 1, maxLength: 12 }),
  }),
  fc.record({
    kind: fc.constant("remove" as const),
    at: place,
    length: fc.integer({ min: 1, max: 12 }),
  }),
  fc.record({
    kind: fc.constant("repeat" as const),
    at: place,
    length: fc.integer({ min: 1, max: 64 }),
  }),
  fc.record({ kind: fc.constant("cut" as const), at: place }),
);

export const edits = fc.array(edit, { minLength: 1, maxLength: 4 });

/** `bytes` is left as it is. */
export function mutate(bytes: Uint8Array, list: readonly Edit[]): Uint8Array {
  // A Buffer's own slice would be the same memory.
  return list.reduce(applyEdit, Uint8Array.from(bytes));
}

function applyEdit(bytes: Uint8Array, change: Edit): Uint8Array {
  const at = bytes.length === 0 ? 0 : change.at % bytes.length;
  switch (change.kind) {
    case "flip":
      return replaced(bytes, at, Uint8Array.of((bytes[at] ?? 0) ^ (1 << change.bit)));
    case "set":
      return replaced(bytes, at, Uint8Array.of(change.value));
    case "number": {
      const big = new Uint8Array(change.width);
      for (let i = 0; i < Math.min(4, change.width); i++) {
        big[change.width - 1 - i] = (change.value >>> (8 * i)) & 255;
      }
      return replaced(bytes, at, change.at % 2 === 0 ? big : big.reverse());
    }
    case "insert":
      return joined(bytes.subarray(0, at), change.bytes, bytes.subarray(at));
    case "remove":
      return joined(bytes.subarray(0, at), bytes.subarray(at + change.length));
    case "repeat":
      return joined(bytes.subarray(0, at + change.length), bytes.subarray(at));
    case "cut":
      return bytes.slice(0, at);
  }
}

function replaced(bytes: Uint8Array, at: number, by: Uint8Array): Uint8Array {
  const result = bytes.slice();
  result.set(by.subarray(0, Math.max(0, bytes.length - at)), at);
  return result;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}
