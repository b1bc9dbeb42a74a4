// How far a mirror has come, in a file, so that one that was stopped or cut off goes on from there.

import { open, readFile, rename } from "node:fs/promises";
import { bytesToHex } from "../../base/index.ts";
import { CommandError, exitCodes, textOf } from "./failure.ts";

const format = 1;

/** What a mirror copies, and where to; a file is good for one of these only. */
export interface MirrorIdentity {
  /** Cluster of the source, hex. */
  readonly source: string;
  /** Cluster of the destination, hex. */
  readonly destination: string;
  readonly prefix: string;
  readonly destinationPrefix: string;
}

export interface MirrorPoint {
  /** Everything up to this revision of the source is at the destination; once `copyFrom` is none. */
  readonly revision: number;
  /** While the first copy at `revision` is under way: the key that it goes on from. */
  readonly copyFrom: Uint8Array | undefined;
}

/** Undefined when there is no file yet. Throws CommandError when it is of another mirror. */
export async function readMirrorState(
  path: string,
  identity: MirrorIdentity,
): Promise<MirrorPoint | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") {
      return undefined;
    }
    throw new CommandError(exitCodes.io, textOf(error));
  }
  const stored = parse(path, text);
  for (const name of ["source", "destination", "prefix", "destinationPrefix"] as const) {
    if (stored[name] !== identity[name]) {
      throw new CommandError(
        exitCodes.error,
        `${path} belongs to another mirror: its ${name} is ${JSON.stringify(stored[name])}, not ` +
          JSON.stringify(identity[name]),
        "give each mirror a --checkpoint file of its own",
      );
    }
  }
  const { revision, copyFrom } = stored;
  return { revision, copyFrom: copyFrom === null ? undefined : Buffer.from(copyFrom, "hex") };
}

interface Stored extends MirrorIdentity {
  readonly format: number;
  readonly revision: number;
  readonly copyFrom: string | null;
}

function parse(path: string, text: string): Stored {
  try {
    const stored = JSON.parse(text) as Stored;
    if (stored.format === format && isPoint(stored)) {
      return stored;
    }
  } catch {
    // Told below.
  }
  throw new CommandError(
    exitCodes.error,
    `${path} is not a mirror's checkpoint`,
    "delete it, and the mirror copies everything anew",
  );
}

function isPoint({ revision, copyFrom }: Stored): boolean {
  const isKey = typeof copyFrom === "string" && /^([0-9a-f]{2})+$/.test(copyFrom);
  return (copyFrom === null || isKey) && Number.isSafeInteger(revision) && revision >= 0;
}

/** Replaces the file whole. */
export async function writeMirrorState(
  path: string,
  identity: MirrorIdentity,
  { revision, copyFrom }: MirrorPoint,
): Promise<void> {
  const from = copyFrom === undefined ? null : bytesToHex(copyFrom);
  const stored: Stored = { format, ...identity, revision, copyFrom: from };
  const partial = `${path}.part`;
  try {
    const file = await open(partial, "w", 0o600);
    try {
      await file.writeFile(`${JSON.stringify(stored)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } catch (error) {
    throw new CommandError(exitCodes.io, textOf(error));
  }
}
