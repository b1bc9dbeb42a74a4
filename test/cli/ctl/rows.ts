// What is compared, as a table: command lines by the command they belong to. A row is run in every
// form of -w unless it says otherwise.

import type { RunOptions } from "./both.ts";

export const everyForm = ["simple", "fields", "json", "table", "protobuf"] as const;
export type Form = (typeof everyForm)[number];

export interface Row extends RunOptions {
  /** The command it is a row of, as etcdctl's help has it. */
  readonly command: string;
  readonly args: readonly string[];
  /** It changes the state: both start from the same, and revisions are not compared. */
  readonly writes?: boolean;
  readonly forms?: readonly Form[];
  /** Only the first line of standard error and the exit code: etcdctl prints its whole help. */
  readonly usage?: boolean;
  /** Takes from the output what differs between two runs. */
  readonly settle?: (out: string) => string;
}

type Extras = Omit<Row, "command" | "args">;

/** What all but the first of some rows are run in: in the others they all do alike. */
const commonForms: readonly Form[] = ["simple", "fields", "json"];

/** Rows of a command; a line is its words behind the command, separated by single spaces. */
function rows(
  command: string,
  lines: readonly (string | readonly string[])[],
  extras: Extras = {},
) {
  const wordsOf = (text: string): string[] => text.split(" ").filter((word) => word !== "");
  return lines.map((line, index): Row => {
    const args = [...wordsOf(command), ...(typeof line === "string" ? wordsOf(line) : line)];
    return { command, args, ...(index === 0 ? {} : { forms: commonForms }), ...extras };
  });
}

const once: Extras = { forms: ["simple"] };
const usage: Extras = { forms: ["simple"], usage: true };
const writes: Extras = { writes: true };

/** A lease that is there, and one that is not; both in hex. */
export const leaseThere = "4d2";
export const leaseGone = "7b";

/** The seconds that a lease has left. */
const withoutTtl = (out: string): string =>
  out.replaceAll(/(?<=remaining\(|"ttl":|"TTL" : )\d+/g, "N");
/** How long something took. */
const withoutTook = (out: string): string =>
  out
    .replaceAll(/(?<="took":"|"Took" : |took = |\| )[\d.]+(?:m|µ|Âµ)?s\b/g, "T")
    .replaceAll(/([ -])\1+/g, "$1");

const keyRows: readonly Row[] = [
  ...rows("get", [
    "a",
    "a l",
    ["", "--prefix"],
    ["", "--from-key", "--limit=2"],
    ["", "--prefix", "--keys-only"],
    ["", "--prefix", "--sort-by=MODIFY", "--order=DESCEND"],
    ["", "--prefix", "--sort-by", "VERSION", "--order", "ascend"],
    ["", "--prefix", "--sort-by=CREATE"],
    ["", "--prefix", "--sort-by=VALUE", "--limit=3"],
    "none",
    "a --rev=2",
    "a --rev=-1",
    "--consistency=s a",
    "--hex a",
    "a --prefix=false",
  ]),
  ...rows(
    "get",
    [
      ["", "--prefix", "--print-value-only"],
      ["", "--prefix", "--hex"],
    ],
    once,
  ),
  ...rows(
    "get",
    [
      "",
      "a --prefix --from-key",
      "a b --prefix",
      "a --order=x",
      "a --sort-by=x",
      "a --consistency=x",
      "a --rev=1000000",
      "a -w bad",
    ],
    once,
  ),
  ...rows("get", ["a --print-value-only -w json", "a -wjson", "a -w=fields"], once),
  ...rows(
    "get",
    [
      "a --nope",
      "a -x",
      "a --limit=x",
      "a --limit",
      "a --limit=99999999999999999999",
      "a --hex=x",
      "a -w",
      "a --command-timeout=5",
      "a --command-timeout=5x",
      "a --dial-timeout=x",
      "a --=x",
      "a ---x",
    ],
    usage,
  ),
  ...rows("put", ["a 3", "a 3 --prev-kv", "new 1 --prev-kv", `a 3 --lease=${leaseThere}`], writes),
  ...rows("put", ["a --ignore-value", "a --ignore-value --prev-kv", "a 3 --ignore-lease"], writes),
  ...rows(
    "put",
    [
      ["a", "--", "-1"],
      ["--", "-a", "--prefix"],
      ["a", "--prev-kv", "--", "-1"],
    ],
    {
      ...writes,
      ...once,
    },
  ),
  ...rows("put", ["a"], { ...writes, ...once, input: "from\nstandard input\n" }),
  ...rows(
    "put",
    [
      "",
      "a",
      ["", "x"],
      `a x --lease=${leaseGone}`,
      "a x --lease=zz",
      "a x --ignore-value",
      "none --ignore-value",
    ],
    once,
  ),
  ...rows("put", ["a -1", "a x --lease"], usage),
  ...rows("del", ["a", "a --prev-kv", "a k --prev-kv", "none", ["", "--prefix"]], writes),
  ...rows("del", ["k --from-key --prev-kv --hex"], { ...writes, ...once }),
  ...rows("del", ["", [""], "a --prefix --from-key", "a b --prefix"], once),
  ...rows("compaction", ["2", "3 --physical"], { ...once, settle: () => "" }),
  ...rows("compaction", ["", "1 2", "1000000", "x"], once),
];

/** A transaction's lines, with "|" for line ends. */
function txn(lines: string, args: readonly string[] = [], extras: Extras = {}): Row {
  const input = lines.replaceAll("|", "\n");
  return { command: "txn", args: ["txn", ...args], input, writes: true, ...extras };
}

const txnRows: readonly Row[] = [
  txn('mod("a") > "0"||put a "x y"|get a||put b 1|get b|del x||'),
  txn('mod("a") = "0"||put a 1||put b 1 --prev-kv|get b|del a --prev-kv|get "" --prefix||'),
  txn('ver("a") = "2"|c("a") < "9000000"|create("none") = "0"|version("a") != "5"||||'),
  txn('value("a") = "2"|val("b") != "y"|val("html") > "<"||get leased|||'),
  txn("|||", ["-i"], { forms: ["simple", "json"] }),
  ...[
    '|put q "tab\\tq\\"x\\x41\\u00e9"|get q|||',
    "|put -- q -1|get q|||",
    '|get --prefix --print-value-only ""|||',
    "|put q 1|get q|||",
    'val("a") = `2`||get a|||',
    'mod("a") > "0" |  ||  |',
    "|get a|",
    'mod("a" > "0"||',
    'mod(a) > "0"||',
    'foo("a") > "0"||',
    'mod("a") > "x"||',
    'mod("a") > 1||||',
    "nonsense||||",
    "|put|||",
    "|foo a|||",
    "|put a|||",
    "|put a 1 --lease=zz|||",
    "|put a 1|put a 2|||",
    "|get a --rev=1000000|||",
  ].map((lines) => txn(lines, [], once)),
  txn("|put q 1|get q|||", ["--hex"], once),
  { command: "txn", args: ["txn", "x"], ...once },
];

const leaseRows: readonly Row[] = [
  ...rows("lease grant", ["100", "0", ["--", "-1"]], {
    // The server picks the id.
    settle: (out) => out.replaceAll(/(?<=^lease |"ID":|"ID" : )[0-9a-f]+/g, "ID"),
  }),
  ...rows("lease grant", ["", "x", "1.5", "1 2", "99999999999"], once),
  // etcdctl cannot marshal this one reply.
  ...rows("lease revoke", [leaseThere], {
    ...writes,
    forms: ["simple", "fields", "json", "table"],
  }),
  ...rows("lease revoke", ["", "zz", leaseGone, "8000000000000001", "1 2"], once),
  ...rows("lease timetolive", [leaseThere, `${leaseThere} --keys`], { settle: withoutTtl }),
  ...rows("lease timetolive", [leaseGone, `${leaseGone} --keys`]),
  ...rows("lease timetolive", ["", "zz"], once),
  ...rows("lease list", [""]),
  ...rows("lease keep-alive", [`${leaseThere} --once`], { settle: withoutTtl }),
  ...rows("lease keep-alive", ["", "zz", `${leaseGone} --once`, leaseGone], once),
];

const clusterRows: readonly Row[] = [
  ...rows("member list", [""]),
  ...rows(
    "member add",
    ["", "a", "a b --peer-urls=http://127.0.0.1:9", "a http://127.0.0.1:9"],
    once,
  ),
  ...rows(
    "member add",
    ["a --peer-urls=nonsense", "a --peer-urls=http://x", "a --peer-urls=http://x:1/y"],
    once,
  ),
  ...rows("member remove", ["", "zz", "7b"], once),
  ...rows("member update", ["", "zz", "7b", "7b --peer-urls=http://127.0.0.1:9"], once),
  ...rows("member promote", ["", "zz", "7b"], once),
  ...rows("endpoint status", ["", "--cluster"]),
  ...rows("endpoint hashkv", ["", "--cluster", "--rev=3"]),
  ...rows("endpoint health", ["", "--cluster"], { settle: withoutTook }),
  // etcdctl dies of a reply without a header in the form of fields.
  ...rows("alarm list", [""], { forms: ["simple", "json", "table"] }),
  ...rows("alarm list", ["x"], once),
  ...rows("alarm disarm", [""], { forms: ["simple", "json", "table"] }),
  ...rows("alarm disarm", ["x"], once),
  ...rows("defrag", ["", "--cluster"]),
  ...rows("move-leader", ["", "zz", "7b", "1 2"], once),
  ...rows("snapshot save", ["", "a b", "/nowhere/file"], once),
  ...rows("snapshot status", ["", "a b", "/nowhere/file"], once),
  ...rows("snapshot restore", ["", "a b"], once),
  ...rows("check perf", ["--load=zz", "--prefix=k"], once),
  ...rows("check datascale", ["--load=zz", "--prefix=k"], once),
  ...rows("make-mirror", [""], once),
];

const waitingRows: readonly Row[] = [
  ...rows("watch", ["", "a b --prefix", "a --"], once),
  ...rows("watch", ["a"], { ...once, env: { ETCDCTL_WATCH_KEY: "foo" } }),
  ...rows("watch", [""], { ...once, env: { ETCDCTL_WATCH_RANGE_END: "foo" } }),
  ...["", "\n", "foo\n", "watch\n", "watch a --nope\n", "watch a --\n", "progress\n"].map(
    (input): Row => ({ command: "watch", args: ["watch", "-i"], input, ...once }),
  ),
  ...rows("lock", [""], once),
  ...rows("elect", ["", "e", "e p q", "-l e p"], once),
];

const authRows: readonly Row[] = [
  ...rows("user list", [""]),
  ...rows("user list", ["x"], once),
  ...rows("user get", ["alice", "alice --detail", "bob"]),
  ...rows("user get", ["", "nobody", "nobody --detail"], once),
  ...rows("user add", ["new:pw", "new --no-password", "new --new-user-password=pw"], writes),
  ...rows("user add", ["new --interactive=false"], { ...writes, ...once, input: "pw\n" }),
  ...rows("user add", ["new"], { ...writes, ...once, input: "" }),
  ...rows("user add", ["", "alice:pw", ":pw", "a b"], once),
  ...rows("user delete", ["bob"], writes),
  ...rows("user delete", ["", "nobody"], once),
  ...rows("user passwd", ["alice --interactive=false"], { ...writes, input: "pw\n" }),
  ...rows("user passwd", ["", "alice"], once),
  ...rows("user passwd", ["nobody --interactive=false"], { ...once, input: "pw\n" }),
  ...rows("user grant-role", ["bob reader"], writes),
  ...rows("user grant-role", ["", "alice", "alice norole", "nobody reader"], once),
  ...rows("user revoke-role", ["alice reader"], writes),
  ...rows("user revoke-role", ["", "alice", "bob reader", "nobody reader"], once),
  ...rows("role list", [""]),
  ...rows("role list", ["x"], once),
  ...rows("role get", ["reader", "writer"]),
  ...rows("role get", ["", "norole"], once),
  ...rows("role add", ["new"], writes),
  ...rows("role add", ["", "reader", [""]], once),
  ...rows("role delete", ["reader"], writes),
  ...rows("role delete", ["", "norole"], once),
  ...rows("role grant-permission", ["reader read k"], writes),
  ...rows(
    "role grant-permission",
    [
      "reader write k l",
      "reader ReadWrite k --prefix",
      "reader read k --from-key",
      ["reader", "read", "", "--prefix"],
      ["reader", "read", "", "--from-key"],
    ],
    { ...writes, ...once },
  ),
  ...rows(
    "role grant-permission",
    [
      "",
      "reader read",
      "reader nonsense k",
      "reader read k e --prefix",
      "reader read k e --from-key",
      "reader read k --prefix --from-key",
      "norole read k",
    ],
    once,
  ),
  ...rows("role revoke-permission", ["reader /app/ --prefix"], writes),
  ...rows("role revoke-permission", ["writer one", "writer k --from-key", "writer a b"], {
    ...writes,
    ...once,
  }),
  ...rows("role revoke-permission", ["", "reader", "reader none", "norole k"], once),
  ...rows("auth disable", [""], once),
  ...rows("auth disable", ["x"], once),
  ...rows("auth enable", ["x"], once),
];

const helpRows: readonly Row[] = [
  // Their texts are each its own.
  ...rows("version", [""], { ...once, settle: () => "" }),
  ...rows("help", ["", "get", "lease grant"], { ...once, settle: () => "" }),
  ...rows("", ["gett a", "helpp"], usage),
  ...rows("", ["mem li", "le li", "endpoint st"], once),
];

export const allRows: readonly Row[] = [
  ...keyRows,
  ...txnRows,
  ...leaseRows,
  ...clusterRows,
  ...waitingRows,
  ...authRows,
  ...helpRows,
];
