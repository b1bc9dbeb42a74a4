// snapshot save, status and restore, and defrag.

import { createHash } from "node:crypto";
import { open, rename, rm, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { ConfigError, DecodeError, equalBytes, StorageError } from "../../base/index.ts";
import { ClientError } from "../../client/index.ts";
import { endpointsOf } from "./cluster.ts";
import {
  type Arguments,
  type Context,
  isSet,
  positionals,
  textFlag,
  wholeFlag,
} from "./context.ts";
import { callText, CommandError, exitCodes, systemText } from "./failure.ts";
import { sizeText } from "./go-text.ts";
import type { Progress } from "./progress.ts";
import { checkStop } from "./session.ts";
import { boolFlag, type Verb, valueFlag } from "./verb.ts";

const hashBytes = 32;
const alignmentBytes = 512;

function fileArgument(argv: Arguments, verb: string): string {
  const [file, ...rest] = positionals(argv);
  if (file === undefined || rest.length > 0) {
    const needs = verb === "save" ? "expects" : "requires exactly";
    throw new CommandError(
      exitCodes.badArguments,
      `snapshot ${verb} ${needs} one argument`,
      `snapshot ${verb} FILE`,
    );
  }
  return file;
}

/** Into a file beside the final one, which is there only once it is whole and on the disk. */
async function save(context: Context, argv: Arguments): Promise<void> {
  const path = fileArgument(argv, "save");
  const [endpoint = "", ...others] = context.endpoints;
  if (others.length > 0) {
    throw new CommandError(
      exitCodes.badArguments,
      `snapshot must be requested to one selected node, not multiple [${context.endpoints.join(" ")}]`,
    );
  }
  const partial = `${path}.part`;
  using progress = context.progress(path);
  try {
    const file = await open(partial, "w", 0o600);
    try {
      await download(context, endpoint, file, progress);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw isExpected(error) ? saveFailure(error, partial) : error;
  }
  progress.end();
  context.io.line(`Snapshot saved at ${path}`);
}

/** As etcdctl ends, whatever stopped the save. */
function saveFailure(error: unknown, partial: string): CommandError {
  const text = systemText(error);
  const message = text.startsWith("open ") ? `could not open ${partial} (${text})` : text;
  return new CommandError(exitCodes.interrupted, message, undefined, { cause: error });
}

async function download(
  context: Context,
  endpoint: string,
  file: FileHandle,
  progress: Progress,
): Promise<void> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  let last = new Uint8Array(0);
  const stop = context.io.interruption();
  for await (const { blob, remainingBytes } of context.client.snapshot(endpoint)) {
    checkStop(stop);
    // The hash is the last 32 bytes; whichever may be of it are held back.
    const held = Buffer.concat([last, blob]);
    const end = Math.max(0, held.length - hashBytes);
    hash.update(held.subarray(0, end));
    last = held.subarray(end);
    await file.write(blob);
    sizeBytes += blob.length;
    progress.bytes(sizeBytes, sizeBytes + remainingBytes);
  }
  if (sizeBytes % alignmentBytes !== hashBytes || !equalBytes(hash.digest(), last)) {
    throw new CommandError(
      exitCodes.error,
      `the snapshot did not arrive whole [size: ${sizeBytes}]: its sha256 is not that behind it`,
    );
  }
}

async function status(context: Context, argv: Arguments): Promise<void> {
  const path = fileArgument(argv, "status");
  const printer = context.printer();
  await stat(path);
  const { statusOfSnapshot } = await import("../snapshot-files.ts");
  using progress = context.progress(path);
  const found = await offline(statusOfSnapshot(path, (done, all) => progress.bytes(done, all)));
  progress.end();
  printer.snapshotStatus(found);
}

async function restore(context: Context, argv: Arguments): Promise<void> {
  const path = fileArgument(argv, "restore");
  const flag = (name: string, absent: string): string => textFlag(argv, name) || absent;
  const name = flag("name", "default");
  const bumpRevision = wholeFlag(argv, "bump-revision");
  const markCompacted = isSet(argv, "mark-compacted");
  if (bumpRevision < 0 || bumpRevision > 0 !== markCompacted) {
    throw new CommandError(
      exitCodes.badArguments,
      "--mark-compacted required if --bump-revision > 0, and disallowed otherwise",
    );
  }
  const dataDirectory = flag("data-dir", `${name}.etcd`);
  using progress = context.progress(dataDirectory);
  const { restoreFile } = await import("../snapshot-files.ts");
  const restored = await offline(
    restoreFile(path, {
      dataDirectory,
      name,
      token: flag("initial-cluster-token", "etcd-cluster"),
      initialCluster: flag("initial-cluster", "default=http://localhost:2380"),
      advertisePeerUrls: flag("initial-advertise-peer-urls", "http://localhost:2380"),
      skipHashCheck: isSet(argv, "skip-hash-check"),
      bumpRevision,
      markCompacted,
      ...(textFlag(argv, "wal-dir") === "" ? {} : { walDirectory: textFlag(argv, "wal-dir") }),
      onProgress: (done, all) => progress.bytes(done, all),
    }),
  );
  progress.end();
  context.io.line(`Restored ${path} into ${dataDirectory} at revision ${restored.revision}`);
}

/** What goes wrong with a file is told in one line. */
async function offline<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw isExpected(error) ? new CommandError(exitCodes.error, systemText(error)) : error;
  }
}

function isExpected(error: unknown): boolean {
  return (
    error instanceof ClientError ||
    error instanceof DecodeError ||
    error instanceof ConfigError ||
    error instanceof StorageError ||
    (error instanceof Error && "syscall" in error)
  );
}

async function defragment(context: Context, argv: Arguments): Promise<void> {
  const dataDirectory = textFlag(argv, "data-dir");
  if (dataDirectory !== "") {
    return defragmentOffline(context, dataDirectory);
  }
  let failed = false;
  for (const endpoint of await endpointsOf(context, argv)) {
    try {
      await context.client.defragment(endpoint);
      context.io.line(`Finished defragmenting etcd member[${endpoint}]`);
    } catch (error) {
      failed = true;
      context.io.errorLine(`Failed to defragment etcd member[${endpoint}] (${callText(error)})`);
    }
  }
  if (failed) {
    throw new CommandError(exitCodes.error, "");
  }
}

/** As `etcdutl defrag`: of a member that is stopped. */
async function defragmentOffline(context: Context, path: string): Promise<void> {
  const { defragmentData } = await import("../snapshot-files.ts");
  const { beforeBytes, afterBytes } = await defragmentData(path);
  const sizes = `${sizeText(beforeBytes)} before, ${sizeText(afterBytes)} now`;
  context.io.line(`Finished defragmenting the data in ${path} (${sizes})`);
}

export const snapshotVerbs: readonly Verb[] = [
  {
    name: "snapshot save",
    usage: "<file>",
    doc: "Save a backup of one member",
    examples: ["snapshot save backup.db --endpoints=10.0.0.1:2379"],
    flags: [],
    run: save,
  },
  {
    name: "snapshot status",
    usage: "<file>",
    doc: "Print what a backup holds",
    examples: ["snapshot status backup.db -w table"],
    flags: [],
    isOffline: true,
    run: status,
  },
  {
    name: "snapshot restore",
    usage: "<file>",
    doc: "Make a member's data directory from a backup",
    examples: ["snapshot restore backup.db --data-dir=/var/lib/quorate"],
    flags: [
      valueFlag("data-dir", "The directory to be made [<name>.etcd]"),
      valueFlag("wal-dir", "Directory for the log; the data directory points to it"),
      valueFlag("name", "Name of the member [default]"),
      valueFlag("initial-cluster", "Members of the new cluster [default=http://localhost:2380]"),
      valueFlag("initial-cluster-token", "Token of the new cluster [etcd-cluster]"),
      valueFlag("initial-advertise-peer-urls", "This member's peer URLs [http://localhost:2380]"),
      boolFlag("skip-hash-check", "For a copied database, which has no hash behind it"),
      valueFlag("bump-revision", "Add this much to the newest revision; with --mark-compacted"),
      valueFlag("initial-memory-map-size", "Accepted, without effect: no memory is mapped"),
      boolFlag("mark-compacted", "Compact at the newest revision; with --bump-revision"),
    ],
    isOffline: true,
    run: restore,
  },
  {
    name: "defrag",
    usage: "",
    doc: "Give unused disk space back; stops nothing",
    examples: ["defrag --cluster", "defrag --data-dir=default.etcd"],
    flags: [
      boolFlag("cluster", "Ask all members of the cluster"),
      valueFlag("data-dir", "In place of that: the directory of a member that is stopped"),
    ],
    run: defragment,
  },
];
