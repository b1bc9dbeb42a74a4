// Values as Go prints them, so that output is the same byte for byte.

import { bytesToHex } from "../../base/index.ts";
import { bytesOf, sequenceLength, textOfBytes } from "./raw-text.ts";

const escapes: Readonly<Record<string, string>> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  '"': '\\"',
  "\\": "\\\\",
};

/** Go's %q of bytes taken as UTF-8: what is not printable, or no UTF-8, is escaped. */
export function goQuote(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    const piece = bytes.subarray(at, at + Math.max(length, 1));
    text += length === 0 ? `\\x${bytesToHex(piece)}` : quoteCharacter(decoder.decode(piece));
    at += piece.length;
  }
  return `"${text}"`;
}

/** Go's %q of a text. */
export function goQuoteText(text: string): string {
  return goQuote(bytesOf(text));
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function quoteCharacter(character: string): string {
  const escape = escapes[character];
  if (escape !== undefined) {
    return escape;
  }
  if (character === " " || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(character)) {
    return character;
  }
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x80) {
    return `\\x${code.toString(16).padStart(2, "0")}`;
  }
  return code < 0x10000
    ? `\\u${code.toString(16).padStart(4, "0")}`
    : `\\U${code.toString(16).padStart(8, "0")}`;
}

const unquotes: Readonly<Record<string, number>> = {
  a: 0x07,
  b: 0x08,
  f: 0x0c,
  n: 0x0a,
  r: 0x0d,
  t: 0x09,
  v: 0x0b,
  "\\": 0x5c,
  "'": 0x27,
  '"': 0x22,
};

const escapePattern =
  /\\(?:([abfnrtv\\'"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/y;

/** What Go's %q reads from a quoted text, as raw-text.ts writes bytes; undefined if it is none. */
export function goUnquote(quoted: string): string | undefined {
  if (/^`[^`]*`$/.test(quoted)) {
    return quoted.slice(1, -1);
  }
  if (!/^"(?:[^"\\\n]|\\.)*"$/.test(quoted)) {
    return undefined;
  }
  const parts: Uint8Array[] = [];
  for (let at = 1; at < quoted.length - 1; ) {
    const next = quoted.indexOf("\\", at);
    const end = next < 0 ? quoted.length - 1 : next;
    parts.push(bytesOf(quoted.slice(at, end)));
    if (next < 0) {
      break;
    }
    escapePattern.lastIndex = next;
    const match = escapePattern.exec(quoted);
    if (match === null) {
      return undefined;
    }
    parts.push(escaped(match));
    at = escapePattern.lastIndex;
  }
  return textOfBytes(Buffer.concat(parts));
}

function escaped([, letter, hex, octal, short, long]: RegExpExecArray): Uint8Array {
  if (letter !== undefined) {
    return Uint8Array.of(unquotes[letter] ?? 0);
  }
  if (hex !== undefined || octal !== undefined) {
    return Uint8Array.of(Number.parseInt(hex ?? octal ?? "", hex === undefined ? 8 : 16));
  }
  const code = Number.parseInt(short ?? long ?? "", 16);
  return bytesOf(code > 0x10ffff ? "\ufffd" : String.fromCodePoint(code));
}

/** Every byte as \xNN: etcdctl's --hex. */
export function hexText(bytes: Uint8Array): string {
  return bytesToHex(bytes).replaceAll(/../g, (pair) => `\\x${pair}`);
}

/** 16 hex digits: Go's %016x of a lease's id. */
export function leaseText(id: bigint): string {
  return BigInt.asUintN(64, id).toString(16).padStart(16, "0");
}

/** A size in powers of 1000: "20 kB", "1.2 MB". */
export function sizeText(bytes: number): string {
  if (bytes < 10) {
    return `${bytes} B`;
  }
  const power = Math.floor(Math.log(bytes) / Math.log(1000));
  const value = Math.floor((bytes / 1000 ** power) * 10 + 0.5) / 10;
  const unit = ["B", "kB", "MB", "GB", "TB", "PB", "EB"][power] ?? "EB";
  return `${value < 10 ? value.toFixed(1) : roundHalfEven(value)} ${unit}`;
}

/** As Go's %.0f rounds: a half goes to the even neighbour. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value);
}

/** A duration as Go's time.Duration prints it: "965.41µs", "1.5s", "1m0.25s". */
export function durationText(nanoseconds: number): string {
  if (nanoseconds === 0) {
    return "0s";
  }
  for (const [unit, size] of [
    ["ns", 1],
    ["µs", 1e3],
    ["ms", 1e6],
  ] as const) {
    if (nanoseconds < size * 1000) {
      return `${trimmed(nanoseconds / size)}${unit}`;
    }
  }
  const seconds = nanoseconds / 1e9;
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const head = hours > 0 ? `${hours}h${minutes}m` : minutes > 0 ? `${minutes}m` : "";
  return `${head}${trimmed(seconds - hours * 3600 - minutes * 60)}s`;
}

function trimmed(value: number): string {
  const text = value.toFixed(9);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** JSON as Go writes it: bigints as plain numbers, bytes as base64, HTML characters escaped. */
export function goJson(value: unknown): string {
  if (value === null || value === undefined) {
    return "null";
  }
  if (typeof value === "bigint" || typeof value === "number" || typeof value === "boolean") {
    return String(value);
  }
  if (typeof value === "string") {
    return JSON.stringify(value).replaceAll(
      /[<>&\u2028\u2029]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
  }
  if (value instanceof Uint8Array) {
    return `"${Buffer.from(value).toString("base64")}"`;
  }
  if (Array.isArray(value)) {
    return `[${value.map(goJson).join(",")}]`;
  }
  const fields = Object.entries(value).map(([key, inner]) => `${goJson(key)}:${goJson(inner)}`);
  return `{${fields.join(",")}}`;
}
