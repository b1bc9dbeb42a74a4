// Keys and values for eyes: text as it is, everything that a terminal would obey or cannot show as
// \xNN, so that no stored byte can move the cursor.

import { isUtf8 } from "node:buffer";

/** One line. */
export function visible(bytes: Uint8Array): string {
  return isUtf8(bytes)
    ? Buffer.from(bytes)
        .toString("utf8")
        .replaceAll(/[\p{Cc}\\]/gu, (sign) =>
          sign === "\\" ? "\\\\" : escaped(sign.charCodeAt(0)),
        )
    : Array.from(bytes, (byte) =>
        byte >= 0x20 && byte < 0x7f && byte !== 0x5c ? String.fromCharCode(byte) : escaped(byte),
      ).join("");
}

function escaped(code: number): string {
  return `\\x${code.toString(16).padStart(2, "0")}`;
}

/** Whether an editor and a diff can show it: text without control signs other than white space. */
export function isText(bytes: Uint8Array): boolean {
  return isUtf8(bytes) && !bytes.some((byte) => byte < 0x20 && (byte < 0x09 || byte > 0x0d));
}

/** A line of a text, tabs kept. */
export function visibleLine(line: string): string {
  return line.replaceAll(/(?!\t)\p{Cc}/gu, (sign) => escaped(sign.charCodeAt(0)));
}
