// What a verb is. Each verb, or family of verbs, is a file that exports a list of these, and
// verbs.ts puts the lists together.

import type { Arguments, Context } from "./context.ts";

export interface VerbFlag {
  readonly name: string;
  /** One letter, for "-i". */
  readonly short?: string;
  /** A "bool" takes no word after it. "whole" is checked to be a whole number of 64 bits. */
  readonly kind: "bool" | "text" | "whole" | "duration";
  readonly doc: string;
  /** What it is when it is not given, for help; empty for nothing. */
  readonly default: string;
}

export interface Verb {
  /** The words that name it: "get", or "lease grant". */
  readonly name: string;
  /** Its arguments, for help: "<key> [range_end]". */
  readonly usage: string;
  readonly doc: string;
  /** Command lines for help, without the program's name; at least one. */
  readonly examples: readonly string[];
  readonly flags: readonly VerbFlag[];
  /** It needs no cluster: no certificates are read, no password is asked for. */
  readonly isOffline?: boolean;
  /** Fails with CommandError; anything else is a defect, and is shown with its trace. */
  run(context: Context, argv: Arguments): Promise<void>;
}

type FlagExtras = Partial<Pick<VerbFlag, "short" | "default">>;

export function boolFlag(name: string, doc: string, extras: FlagExtras = {}): VerbFlag {
  return { name, kind: "bool", doc, default: "", ...extras };
}

/** A flag with a text. */
export function valueFlag(name: string, doc: string, extras: FlagExtras = {}): VerbFlag {
  return { name, kind: "text", doc, default: "", ...extras };
}

/** A flag with a duration, such as "1.5s". */
export function durationFlag(name: string, doc: string, extras: FlagExtras = {}): VerbFlag {
  return { name, kind: "duration", doc, default: "", ...extras };
}

/** A flag with a whole number. */
export function numberFlag(name: string, doc: string, extras: FlagExtras = {}): VerbFlag {
  return { name, kind: "whole", doc, default: "", ...extras };
}
