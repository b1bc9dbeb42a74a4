// A member's directory: its log, its state, and nothing of anybody else.
//
//   wal/        the log, or a link to it; its presence says that the directory was made whole
//   state-<n>/  the engine in use, named by CURRENT; any other number is a leftover
//   CURRENT     see state-pointer.ts
//   holder      who has the directory open, for the message to whoever comes second
//
// Whoever holds LevelDB's lock on the state that CURRENT names owns the directory: the kernel
// frees that lock with the process, however it dies, and it holds between containers. CURRENT is
// read again once the lock is had, because its holder may just have moved on to a new state.

import { readFile, rmdir } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { CorruptionError, StorageError, assert, fromUtf8, idToHex, utf8 } from "../base/index.ts";
import type { HardState, SnapshotMeta } from "../base/index.ts";
import { createScratchFile } from "./byte-files.ts";
import type { ScratchFile } from "./byte-files.ts";
import {
  listDirectory,
  makeDirectory,
  removeTree,
  storageFailure,
  syncTree,
  writeFileAtomically,
} from "./durable-files.ts";
import type { Engine } from "./engine.ts";
import { StoreLockedError, createLevelEngine, openLevelEngine } from "./level-engine.ts";
import { createWal, openWal } from "./open-wal.ts";
import type { WalOptions } from "./open-wal.ts";
import { adviceToRejoin } from "./rejoin-advice.ts";
import { createSeparateLog, holdSeparateLog } from "./separate-log.ts";
import type { HeldLog } from "./separate-log.ts";
import { fillFromSnapshot } from "./snapshot-stream.ts";
import { pointerName, readPointer, stateName, stateNumber, writePointer } from "./state-pointer.ts";
import type { StatePointer } from "./state-pointer.ts";
import type { Wal, WalIdentity, WalRecovered } from "./wal-contract.ts";

const walName = "wal";
const holderName = "holder";
const firstState = 1;

export interface NewDataDirectory {
  readonly identity: WalIdentity;
  /** A random number; see wal-codec.ts. */
  readonly salt: number;
  /** For a member that begins with a state (a restored backup): writes it into the new engine. */
  readonly fill?: ((engine: Engine) => Promise<void>) | undefined;
  /** Where that state stands in the log. */
  readonly snapshot?: SnapshotMeta | undefined;
  readonly hardState?: HardState | undefined;
}

export interface NewDirectoryOptions extends WalOptions {
  /** Where the log is to be, on a disk of its own: in a folder `wal` there. Must be empty. */
  readonly walDirectory?: string | undefined;
}

/** A state received from another member, whole, checked and durable, but not in use. */
export interface ReceivedState {
  readonly meta: SnapshotMeta;
  /** Puts it in place of the state in use, which is closed and removed. */
  install(): Promise<Engine>;
  discard(): Promise<void>;
}

export interface DataDirectory {
  readonly wal: Wal;
  readonly recovered: WalRecovered;
  /** The engine in use; another one after a received state was installed. */
  readonly engine: Engine;
  /** Throws DecodeError, leaving nothing behind, when the stream is damaged or breaks off. */
  receive(meta: SnapshotMeta, chunks: AsyncIterable<Uint8Array>): Promise<ReceivedState>;
  /** An empty file to be written and read, until it is closed. Absent where there are no files. */
  createScratchFile?(): Promise<ScratchFile>;
  close(): Promise<void>;
}

/** Where a member keeps its data: a directory, or the memory of this process. */
export interface MemberDisk {
  /** What to call it in a message. */
  readonly name: string;
  /** As hasDataDirectory. */
  hasData(): Promise<boolean>;
  /** As createDataDirectory. */
  create(contents: NewDataDirectory): Promise<void>;
  /** As openDataDirectory. */
  open(): Promise<DataDirectory>;
}

/** The directory at `path`, which need not be there yet; its log elsewhere if so asked. */
export function diskAt(path: string, walDirectory?: string): MemberDisk {
  return {
    name: path,
    hasData: () => hasDataDirectory(path),
    create: (contents) => createDataDirectory(path, contents, { walDirectory }),
    open: () => openDataDirectory(path, {}, { walDirectory }),
  };
}

/**
 * Whether `path` holds a member's data. False when it is absent, empty, or was left by a creation
 * that a crash cut short; throws StorageError when something else is there.
 */
export async function hasDataDirectory(path: string): Promise<boolean> {
  const names = (await listDirectory(path))?.map((entry) => entry.name) ?? [];
  if (names.includes(walName)) {
    return true;
  }
  const foreign = names.filter((name) => !isLeftover(name));
  if (names.includes("member")) {
    throw new StorageError(
      `${path} is a data directory of etcd (it has member/). Quorate does not read etcd's files: ` +
        "give it another directory, and bring the data over with a snapshot",
    );
  }
  if (foreign.length > 0) {
    throw new StorageError(
      `${path} is not a data directory of Quorate and not empty (it has ${foreign[0]}): ` +
        "give another directory, or empty it",
    );
  }
  return false;
}

/** What a file system puts into an empty volume; certificates that a server made for itself. */
const bystanders: readonly string[] = ["lost+found", "fixtures"];

/** What a cut-short creation may leave, and what was there before. */
function isLeftover(name: string): boolean {
  const known = [
    `${walName}.tmp`,
    pointerName,
    `${pointerName}.tmp`,
    holderName,
    `${holderName}.tmp`,
  ];
  return known.includes(name) || stateNumber(name) !== undefined || bystanders.includes(name);
}

/**
 * Makes the directory of a new member. After a crash on the way it can simply be made again. When
 * `fill` fails nothing is left, and its error is thrown as it is.
 */
export async function createDataDirectory(
  path: string,
  contents: NewDataDirectory,
  options: NewDirectoryOptions = {},
): Promise<void> {
  if (await hasDataDirectory(path)) {
    throw new StorageError(`${path} already holds the data of a member`);
  }
  try {
    await makeDirectory(path);
    await removeUnfinished(path);
    await makeFirstState(path, contents, options);
  } catch (error) {
    if (error instanceof FillFailure) {
      await removeTree(join(path, stateName(firstState)));
      // Other than empty only if it was there before.
      await rmdir(path).catch(() => undefined);
      throw error.cause;
    }
    throw storageFailure(`making the data directory ${path}`, error);
  }
}

class FillFailure extends Error {}

async function makeFirstState(
  path: string,
  contents: NewDataDirectory,
  options: NewDirectoryOptions,
): Promise<void> {
  const statePath = join(path, stateName(firstState));
  await makeDirectory(statePath);
  const engine = await createLevelEngine(statePath);
  try {
    await contents.fill?.(engine).catch((error: unknown) => {
      throw new FillFailure("filling the state failed", { cause: error });
    });
    await engine.write([], { sync: true });
    await syncTree(statePath);
    const pointer = { state: firstState, installed: undefined };
    await writePointer(path, { ...pointer, isFounding: true });
    await makeLog(path, contents, options);
    await writePointer(path, { ...pointer, isFounding: false });
  } finally {
    await engine.close();
  }
}

/** The name that says that all is whole comes last: the log's own, or a link to it. */
function makeLog(
  path: string,
  contents: NewDataDirectory,
  options: NewDirectoryOptions,
): Promise<void> {
  const place = join(path, walName);
  return options.walDirectory === undefined
    ? createWal(place, contents, options)
    : createSeparateLog(place, options.walDirectory, contents, options);
}

/**
 * Clears what a creation left. A finished state without a log is no such thing: there the log was
 * lost, and starting afresh would make the member forget its votes.
 */
async function removeUnfinished(path: string): Promise<void> {
  const pointer = await readPointer(path);
  if (pointer !== undefined && !pointer.isFounding) {
    throw new CorruptionError(
      `${path} holds a state but no log (${walName}/ is missing). If it is a half-made copy, ` +
        "delete the directory; else remove the member from the cluster and add it anew",
    );
  }
  for (const { name } of (await listDirectory(path)) ?? []) {
    if (stateNumber(name) !== undefined) {
      await removeUnlocked(path, join(path, name));
    }
  }
}

/** Opening a state shows whether somebody is at work in it; a broken one is nobody's. */
async function removeUnlocked(path: string, statePath: string): Promise<void> {
  try {
    await (await openLocked(path, statePath)).close();
  } catch (error) {
    if (error instanceof StorageError && error.cause instanceof StoreLockedError) {
      throw error;
    }
  }
  await removeTree(statePath);
}

/**
 * Opens a member's directory. Throws StorageError when it is in use or belongs to another member
 * than `expected`, CorruptionError when it cannot be trusted.
 */
export async function openDataDirectory(
  path: string,
  expected: Partial<WalIdentity> = {},
  options: NewDirectoryOptions = {},
): Promise<DataDirectory> {
  if (!(await hasDataDirectory(path))) {
    throw new StorageError(`${path} holds no data of a member`);
  }
  const { engine, pointer } = await openCurrentState(path);
  try {
    await writeFileAtomically(
      join(path, holderName),
      utf8(`process ${process.pid} on ${hostname()}`),
    );
    if (pointer.isFounding) {
      await writePointer(path, { ...pointer, isFounding: false });
    }
    await removeLeftovers(path, pointer);
    const held = await holdSeparateLog(join(path, walName), options.walDirectory);
    try {
      const { wal, recovered } = await openWal(join(path, walName), options);
      try {
        checkIdentity(path, recovered.identity, expected);
        const finished = await finishInstall(wal, recovered, pointer.installed);
        return new OpenDataDirectory({ path, state: pointer.state, engine, wal, held }, finished);
      } catch (error) {
        await wal.close();
        throw error;
      }
    } catch (error) {
      await held?.release();
      throw error;
    }
  } catch (error) {
    await engine.close();
    throw storageFailure(`opening the data directory ${path}`, error);
  }
}

async function openCurrentState(path: string): Promise<{ engine: Engine; pointer: StatePointer }> {
  for (;;) {
    const pointer = await readPointer(path);
    if (pointer === undefined) {
      throw new CorruptionError(
        `${path} has a log but no ${pointerName}: its state is lost. ${adviceToRejoin}`,
      );
    }
    const engine = await openLocked(path, join(path, stateName(pointer.state)));
    if ((await readPointer(path))?.state === pointer.state) {
      return { engine, pointer };
    }
    await engine.close();
  }
}

async function openLocked(path: string, statePath: string): Promise<Engine> {
  try {
    return await openLevelEngine(statePath);
  } catch (error) {
    if (!(error instanceof StoreLockedError)) {
      throw error;
    }
    const holder = await readFile(join(path, holderName)).then(fromUtf8, () => "another process");
    throw new StorageError(`the data directory ${path} is in use by ${holder}`, { cause: error });
  }
}

async function removeLeftovers(path: string, pointer: StatePointer): Promise<void> {
  for (const { name } of (await listDirectory(path)) ?? []) {
    const state = stateNumber(name);
    if ((state !== undefined && state !== pointer.state) || name.endsWith(".tmp")) {
      await removeTree(join(path, name));
    }
  }
}

function checkIdentity(path: string, found: WalIdentity, expected: Partial<WalIdentity>): void {
  const { clusterId = found.clusterId, memberId = found.memberId } = expected;
  if (clusterId !== found.clusterId) {
    throw new StorageError(
      `${path} belongs to cluster ${idToHex(found.clusterId)}, not ${idToHex(clusterId)}`,
    );
  }
  if (memberId !== found.memberId) {
    throw new StorageError(
      `${path} belongs to member ${idToHex(found.memberId)}, not ${idToHex(memberId)}`,
    );
  }
}

/** A crash between putting a received state in place and telling the log: the log is told now. */
export async function finishInstall(
  wal: Wal,
  recovered: WalRecovered,
  installed: SnapshotMeta | undefined,
): Promise<WalRecovered> {
  if (installed === undefined || installed.index <= (recovered.snapshot?.index ?? 0)) {
    return recovered;
  }
  const { hardState, entries } = recovered;
  const raised: HardState = {
    term: installed.term > hardState.term ? installed.term : hardState.term,
    vote: installed.term > hardState.term ? (0n as HardState["vote"]) : hardState.vote,
    commit: installed.index > hardState.commit ? installed.index : hardState.commit,
  };
  await wal.append({ hardState: raised, entries: [], snapshot: installed });
  const at = entries.findIndex((entry) => entry.index === installed.index);
  const matches = entries[at]?.term === installed.term;
  return {
    identity: recovered.identity,
    hardState: raised,
    snapshot: installed,
    entries: matches ? entries.slice(at + 1) : [],
  };
}

interface OpenParts {
  readonly path: string;
  readonly state: number;
  readonly engine: Engine;
  readonly wal: Wal;
  readonly held: HeldLog | undefined;
}

class OpenDataDirectory implements DataDirectory {
  readonly wal: Wal;
  readonly recovered: WalRecovered;
  readonly #path: string;
  #state: number;
  /** The highest number given to a state, in use or not. */
  #lastState: number;
  #engine: Engine;
  readonly #held: HeldLog | undefined;

  constructor({ path, state, engine, wal, held }: OpenParts, recovered: WalRecovered) {
    this.#path = path;
    this.#state = state;
    this.#lastState = state;
    this.#engine = engine;
    this.#held = held;
    this.wal = wal;
    this.recovered = recovered;
  }

  get engine(): Engine {
    return this.#engine;
  }

  async receive(meta: SnapshotMeta, chunks: AsyncIterable<Uint8Array>): Promise<ReceivedState> {
    const state = ++this.#lastState;
    const statePath = join(this.#path, stateName(state));
    const { clusterId } = this.recovered.identity;
    try {
      await makeDirectory(statePath);
      const engine = await createLevelEngine(statePath);
      try {
        await fillFromSnapshot(engine, chunks, { clusterId, meta });
      } finally {
        await engine.close();
      }
      await syncTree(statePath);
    } catch (error) {
      await removeTree(statePath);
      throw error;
    }
    return {
      meta,
      install: () => this.#install(state, meta),
      discard: () => (state === this.#state ? Promise.resolve() : removeTree(statePath)),
    };
  }

  createScratchFile(): Promise<ScratchFile> {
    return createScratchFile(this.#path);
  }

  async close(): Promise<void> {
    await this.wal.close();
    await this.#held?.release();
    await this.#engine.close();
  }

  /** The new state is locked before the old one is let go. */
  async #install(state: number, meta: SnapshotMeta): Promise<Engine> {
    assert(state > this.#state, "a received state is installed once");
    const engine = await openLevelEngine(join(this.#path, stateName(state)));
    await writePointer(this.#path, { state, installed: meta, isFounding: false });
    const oldEngine = this.#engine;
    const oldPath = join(this.#path, stateName(this.#state));
    this.#engine = engine;
    this.#state = state;
    await oldEngine.close();
    await removeTree(oldPath);
    return engine;
  }
}
