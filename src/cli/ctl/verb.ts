// What a verb is. Each verb, or family of verbs, is a file that exports a list of these.

import type { Arguments, Context } from "./context.ts";

export interface VerbFlag {
  readonly name: string;
  readonly kind: "bool" | "text";
  readonly doc: string;
}

export interface Verb {
  /** The words that name it: "get", or "lease grant". */
  readonly name: string;
  /** Its arguments, for help: "<key> [range_end]". */
  readonly usage: string;
  readonly doc: string;
  readonly flags: readonly VerbFlag[];
  run(context: Context, argv: Arguments): Promise<void>;
}

export function boolFlag(name: string, doc: string): VerbFlag {
  return { name, kind: "bool", doc };
}

export function valueFlag(name: string, doc: string): VerbFlag {
  return { name, kind: "text", doc };
}
