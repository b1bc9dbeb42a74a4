// What a server flag is. The rows are in member.ts, cluster.ts, security.ts, operations.ts and
// own.ts; docs/compatibility.md shows the same table, and a test holds the two together.

/**
 * How the text of a value is read: `bool` as Go's strconv does, `duration` as Go's time package
 * ("1h30m", "100ms"), `size` in bytes or with a binary suffix ("256MiB"), `urls` and `list`
 * separated by commas.
 */
export type FlagKind =
  | "string"
  | "bool"
  | "int"
  | "uint"
  | "duration"
  | "size"
  | "urls"
  | "list"
  | "choice";

/**
 * - `works`: does what it does in etcd.
 * - `ignored`: accepted with a warning, since it has no meaning here.
 * - `refused`: gone from etcd too, and starting without it would be less than was asked for.
 */
export type FlagStatus = "works" | "ignored" | "refused";

export type FlagGroup = "Member" | "Cluster" | "Security" | "Auth" | "Operations" | "Quorate's own";

export interface Flag {
  readonly name: string;
  readonly kind: FlagKind;
  /** The default as text, in the form the flag takes. */
  readonly default: string;
  readonly group: FlagGroup;
  readonly status: FlagStatus;
  /** One sentence for --help; for `ignored` and `refused` it says why. */
  readonly doc: string;
  /** The values that a `choice` takes. */
  readonly choices?: readonly string[];
}

/** Makes rows of one group, so that a table is one line a flag. */
export function rowsOf(group: FlagGroup) {
  return (
    name: string,
    kind: FlagKind,
    defaultText: string,
    status: FlagStatus,
    doc: string,
    choices?: readonly string[],
  ): Flag => ({
    name,
    kind,
    default: defaultText,
    group,
    status,
    doc,
    ...(choices === undefined ? {} : { choices }),
  });
}
