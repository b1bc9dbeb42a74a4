// Byte helpers. Bytes that enter raft or mvcc are owned by them and never changed afterwards.
// `subarray` is a view; `copyBytes` is for keeping a small piece without pinning its parent.

export const emptyBytes = new Uint8Array(0);

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Decodes UTF-8; malformed sequences become U+FFFD. */
export function fromUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

export function copyBytes(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes.length);
  copy.set(bytes);
  return copy;
}

/** Lexicographic order of unsigned bytes; negative, zero or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = a.length < b.length ? a.length : b.length;
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) {
      return difference;
    }
  }
  return a.length - b.length;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) {
    return false;
  }
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) {
      return false;
    }
  }
  return true;
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) {
    length += part.length;
  }
  const all = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

/** Lower-case hex, two digits a byte. */
export function bytesToHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    text += byte.toString(16).padStart(2, "0");
  }
  return text;
}

/** The byte at `offset`; a read past the end throws RangeError. */
export function byteAt(bytes: Uint8Array, offset: number): number {
  const byte = bytes[offset];
  if (byte === undefined) {
    throw new RangeError(`read past the end: ${offset} of ${bytes.length}`);
  }
  return byte;
}

/** Writes a counter (a safe integer) as 8 bytes, big endian, so that byte order is number order. */
export function writeU64(bytes: Uint8Array, offset: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  const low = value >>> 0;
  bytes[offset] = high >>> 24;
  bytes[offset + 1] = high >>> 16;
  bytes[offset + 2] = high >>> 8;
  bytes[offset + 3] = high;
  bytes[offset + 4] = low >>> 24;
  bytes[offset + 5] = low >>> 16;
  bytes[offset + 6] = low >>> 8;
  bytes[offset + 7] = low;
}

/** Reads what `writeU64` wrote; a value beyond 2^53 - 1 throws RangeError. */
export function readU64(bytes: Uint8Array, offset: number): number {
  if (offset + 8 > bytes.length) {
    throw new RangeError(`read past the end: ${offset + 8} of ${bytes.length}`);
  }
  const high = readU32(bytes, offset);
  if (high > 0x1f_ffff) {
    throw new RangeError("counter beyond 2^53 - 1");
  }
  return high * 0x1_0000_0000 + readU32(bytes, offset + 4);
}

/** Reads 4 bytes, big endian. */
export function readU32(bytes: Uint8Array, offset: number): number {
  return (
    (byteAt(bytes, offset) * 0x100_0000 +
      ((byteAt(bytes, offset + 1) << 16) |
        (byteAt(bytes, offset + 2) << 8) |
        byteAt(bytes, offset + 3))) >>>
    0
  );
}

/** Writes 4 bytes, big endian. */
export function writeU32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 24;
  bytes[offset + 1] = value >>> 16;
  bytes[offset + 2] = value >>> 8;
  bytes[offset + 3] = value;
}
