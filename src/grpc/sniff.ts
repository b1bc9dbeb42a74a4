// Which protocol a connection speaks, from its first bytes.

export type SniffResult = "http2" | "http1" | "tls" | "more" | "unknown";

const prefaceStart = [0x50, 0x52, 0x49, 0x20]; // "PRI ", which no HTTP/1.1 method begins with
const tlsHandshake = 0x16;

/** Decides as early as it can; "more" asks for at least one byte more than `bytes` holds. */
export function sniff(bytes: Uint8Array): SniffResult {
  const first = bytes[0];
  if (first === undefined) {
    return "more";
  }
  if (first === tlsHandshake) {
    return "tls";
  }
  for (let i = 0; i < prefaceStart.length; i++) {
    const byte = bytes[i];
    if (byte === undefined) {
      return "more";
    }
    if (byte !== prefaceStart[i]) {
      // An HTTP/1.1 request line starts with a method; all methods in use are capital letters.
      return first >= 0x41 && first <= 0x5a ? "http1" : "unknown";
    }
  }
  return "http2";
}
