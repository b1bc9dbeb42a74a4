// Which version this is, from package.json, two folders up in the sources and when built.

import { readFileSync } from "node:fs";

/** Quorate's own version. */
export function quorateVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { readonly version: string }).version;
}
