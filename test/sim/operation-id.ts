// Which entry of the log is which client's request: requests carry a number in a field that
// decoders do not know and skip, behind all others.

/** Field 1000 as fixed32. */
const tag = [0xc5, 0x3e] as const;
const suffixBytes = 6;

export function withOperation(encoded: Uint8Array, operation: number): Uint8Array {
  const bytes = new Uint8Array(encoded.length + suffixBytes);
  bytes.set(encoded);
  bytes.set(tag, encoded.length);
  new DataView(bytes.buffer).setUint32(encoded.length + 2, operation, true);
  return bytes;
}

/** The number in an encoded request; 0 when it has none. */
export function operationOf(body: Uint8Array): number {
  const at = body.length - suffixBytes;
  return at >= 0 && body[at] === tag[0] && body[at + 1] === tag[1]
    ? new DataView(body.buffer, body.byteOffset + at + 2, 4).getUint32(0, true)
    : 0;
}
