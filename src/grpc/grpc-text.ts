// The textual parts of gRPC over HTTP/2: timeouts, percent-encoding, content types.
// Source: grpc/doc/PROTOCOL-HTTP2.md.

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/** Milliseconds of a grpc-timeout value (at most 8 digits and a unit); undefined if malformed. */
export function parseTimeout(text: string): number | undefined {
  const last = text.length - 1;
  if (last < 1 || last > 8) {
    return undefined;
  }
  const unit = unitMs[text.charAt(last)];
  if (unit === undefined) {
    return undefined;
  }
  let value = 0;
  for (let i = 0; i < last; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) {
      return undefined;
    }
    value = value * 10 + digit;
  }
  return value * unit;
}

/** Bytes of a status message that are sent; what is beyond is cut. */
const messageBytesMax = 4_096;
const plainMessage = /^[ -$&-~]*$/;

/** Percent-encodes the UTF-8 of a status message, all but printable ASCII without "%". */
export function encodeMessage(message: string): string {
  if (message.length <= messageBytesMax && plainMessage.test(message)) {
    return message;
  }
  let encoded = "";
  for (const byte of Buffer.from(message).subarray(0, messageBytesMax)) {
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

/** Whether a content-type names gRPC: "application/grpc", alone or with "+format" or ";...". */
export function isGrpcContentType(value: string): boolean {
  const base = "application/grpc";
  if (value === base) {
    return true;
  }
  if (value.length < base.length || value.slice(0, base.length).toLowerCase() !== base) {
    return false;
  }
  const next = value.charAt(base.length);
  return next === "" || next === "+" || next === ";";
}

/** A "-bin" value, base64 with or without padding, as one character a byte. */
export function decodeBinaryValue(value: string): string {
  const comma = value.indexOf(",");
  const first = comma < 0 ? value : value.slice(0, comma);
  return Buffer.from(first, "base64").toString("latin1");
}
