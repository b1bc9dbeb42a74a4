// Texts that may hold any bytes. Keys and values come as words of the command line or as lines of
// standard input and need not be UTF-8; in a string each byte that is not part of a valid sequence
// is a lone surrogate, U+DC80 to U+DCFF (as in Python's PEP 383), and becomes that byte again.

import { readFileSync } from "node:fs";
import { utf8 } from "../../base/index.ts";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** With the flag u only surrogates without a partner match. */
const escapedByte = /[\udc80-\udcff]/u;
const firstEscape = 0xdc00;

/** Bytes as a string from which `bytesOf` makes the same bytes. */
export function textOfBytes(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    let text = "";
    for (let at = 0; at < bytes.length; ) {
      const length = sequenceLength(bytes, at);
      text +=
        length === 0
          ? String.fromCharCode(firstEscape + (bytes[at] ?? 0))
          : strict.decode(bytes.subarray(at, at + length));
      at += Math.max(length, 1);
    }
    return text;
  }
}

/** The bytes of a string: UTF-8, and a byte for each escaped one. */
export function bytesOf(text: string): Uint8Array {
  if (!escapedByte.test(text)) {
    return utf8(text);
  }
  const parts = Array.from(text, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return escapedByte.test(character) ? Uint8Array.of(code - firstEscape) : utf8(character);
  });
  return Buffer.concat(parts);
}

/** Bytes of the UTF-8 sequence at `at`; 0 when there is none. */
export function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  try {
    return at + length <= bytes.length && strict.decode(bytes.subarray(at, at + length)) !== ""
      ? length
      : 0;
  } catch {
    return 0;
  }
}

/**
 * The words of this process's command line with their bytes. Node decodes them and loses what is no
 * UTF-8; Linux tells them as they were given. Elsewhere they are as Node has them.
 */
export function commandLineWords(decoded: readonly string[]): string[] {
  if (!decoded.some((word) => word.includes("\ufffd"))) {
    return [...decoded];
  }
  try {
    const line = readFileSync("/proc/self/cmdline", "latin1").split("\0").slice(0, -1);
    const words = line.slice(line.length - decoded.length);
    return words.map((word) => textOfBytes(Buffer.from(word, "latin1")));
  } catch {
    return [...decoded];
  }
}
