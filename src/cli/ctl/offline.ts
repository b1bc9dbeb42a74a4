// What etcdutl does with files and no server: hashkv and migrate. Its snapshot and defrag are with
// etcdctl's (snapshot.ts).

import { readdir } from "node:fs/promises";
import {
  type Arguments,
  type Context,
  isSet,
  positionals,
  textFlag,
  wholeFlag,
} from "./context.ts";
import { CommandError, exitCodes } from "./failure.ts";
import { boolFlag, numberFlag, type Verb, valueFlag } from "./verb.ts";

async function hashKv(context: Context, argv: Arguments): Promise<void> {
  const [path, ...rest] = positionals(argv);
  if (path === undefined || rest.length > 0) {
    throw new CommandError(
      exitCodes.badArguments,
      "hashkv expects one argument: a data directory, or a snapshot file",
    );
  }
  const { hashOffline } = await import("../snapshot-files.ts");
  using progress = context.progress(`hashing ${path}`);
  const { hash, hashRevision, compactedRevision } = await hashOffline(path, {
    revision: wholeFlag(argv, "rev"),
    onProgress: (text) => progress.note(text),
  });
  progress.end();
  context.report({
    header: ["hash", "hash revision", "compact revision"],
    rows: [[String(hash), String(hashRevision), String(compactedRevision)]],
    json: { hash, hashRevision, compactRevision: compactedRevision },
  });
}

/** etcd's data has a version that depends on the release; Quorate's has not. */
async function migrate(context: Context, argv: Arguments): Promise<void> {
  const path = textFlag(argv, "data-dir");
  const version = textFlag(argv, "target-version");
  if (path === "" || version === "") {
    throw new CommandError(
      exitCodes.badArguments,
      `required flag(s) ${path === "" ? '"data-dir"' : '"target-version"'} not set`,
    );
  }
  if (!/^v?3\.\d+$/.test(version)) {
    throw new CommandError(
      exitCodes.badArguments,
      `wrong target version format, expected "X.Y", got ${JSON.stringify(version)}`,
    );
  }
  const names = await readdir(path);
  if (names.includes("member")) {
    throw new CommandError(
      exitCodes.error,
      `${path} is a data directory of etcd`,
      `stop that etcd, then: quoratectl snapshot restore ${path}/member/snap/db --skip-hash-check ` +
        "--data-dir=NEW",
    );
  }
  if (!names.includes("wal")) {
    throw new CommandError(exitCodes.error, `${path} holds no data of a member`);
  }
  context.io.line(
    `Nothing to do: the data of a Quorate member is the same for every version of etcd's API, ` +
      `${version} too (the member's --emulate-version says which it speaks)`,
  );
  if (isSet(argv, "force")) {
    context.io.errorLine("--force has no effect");
  }
}

export const offlineVerbs: readonly Verb[] = [
  {
    name: "hashkv",
    usage: "<file or directory>",
    doc: "Print the hash of a snapshot's, or of a stopped member's, keys and history",
    examples: ["hashkv backup.db", "hashkv --rev=42 default.etcd"],
    flags: [numberFlag("rev", "Up to this revision", { default: "the newest" })],
    isOffline: true,
    run: hashKv,
  },
  {
    name: "migrate",
    usage: "",
    doc: "Prepare a stopped member's data for another version of etcd's API: never needed",
    examples: ["migrate --data-dir=default.etcd --target-version=3.5"],
    flags: [
      valueFlag("data-dir", "Directory of the member"),
      valueFlag("target-version", "Version to prepare for: 3.5"),
      boolFlag("force", "Accepted, without effect"),
    ],
    isOffline: true,
    run: migrate,
  },
];
