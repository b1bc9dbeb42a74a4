// The file CURRENT: which state directory is in use, and the snapshot it came from if it was
// received. Replaced whole, so that after a crash it names the old state or the new one.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CorruptionError, fromUtf8, utf8 } from "../base/index.ts";
import type { ConfState, LogIndex, MemberId, SnapshotMeta, Term } from "../base/index.ts";
import { checksum } from "./checksum.ts";
import { errorCode, writeFileAtomically } from "./durable-files.ts";
import { adviceToRejoin } from "./rejoin-advice.ts";

export const pointerName = "CURRENT";
const format = 1;
const stateNamePattern = /^state-([1-9][0-9]{0,14})$/;

export interface StatePointer {
  /** Number of the state directory. */
  readonly state: number;
  /** Set when the state was received: the log must know of it before it is used. */
  readonly installed: SnapshotMeta | undefined;
  /** Set while the directory is being made: what is there without a log may be cleared away. */
  readonly isFounding: boolean;
}

export function stateName(state: number): string {
  return `state-${state}`;
}

/** The number in the name of a state directory; undefined for any other name. */
export function stateNumber(name: string): number | undefined {
  const match = stateNamePattern.exec(name);
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

/** Undefined when there is no pointer. Throws CorruptionError when it cannot be read. */
export async function readPointer(directory: string): Promise<StatePointer | undefined> {
  const path = join(directory, pointerName);
  let text: string;
  try {
    text = fromUtf8(await readFile(path));
  } catch (error) {
    if (errorCode(error) === "ENOENT") {
      return undefined;
    }
    throw error;
  }
  const [line = "", sum = ""] = text.split("\n");
  if (sum !== sumOf(line)) {
    throw new CorruptionError(`${path} is damaged: its checksum does not match. ${adviceToRejoin}`);
  }
  const fields = JSON.parse(line) as PointerFields;
  if (fields.format !== format) {
    throw new CorruptionError(`${path} has format ${fields.format}; this release reads ${format}`);
  }
  return {
    state: fields.state,
    installed: fields.installed === null ? undefined : metaFrom(fields.installed),
    isFounding: fields.isFounding,
  };
}

export async function writePointer(directory: string, pointer: StatePointer): Promise<void> {
  const { state, installed, isFounding } = pointer;
  const fields: PointerFields = {
    format,
    state,
    installed: installed === undefined ? null : metaTo(installed),
    isFounding,
  };
  const line = JSON.stringify(fields);
  await writeFileAtomically(join(directory, pointerName), utf8(`${line}\n${sumOf(line)}\n`));
}

interface MetaFields {
  readonly index: number;
  readonly term: number;
  readonly voters: readonly string[];
  readonly votersOutgoing: readonly string[];
  readonly learners: readonly string[];
  readonly learnersNext: readonly string[];
  readonly autoLeave: boolean;
}

interface PointerFields {
  readonly format: number;
  readonly state: number;
  readonly installed: MetaFields | null;
  readonly isFounding: boolean;
}

function sumOf(line: string): string {
  return checksum(utf8(line)).toString(16).padStart(8, "0");
}

function metaTo(meta: SnapshotMeta): MetaFields {
  const { conf } = meta;
  return {
    index: meta.index,
    term: meta.term,
    voters: conf.voters.map(String),
    votersOutgoing: conf.votersOutgoing.map(String),
    learners: conf.learners.map(String),
    learnersNext: conf.learnersNext.map(String),
    autoLeave: conf.autoLeave,
  };
}

function metaFrom(fields: MetaFields): SnapshotMeta {
  const conf: ConfState = {
    voters: fields.voters.map(idFrom),
    votersOutgoing: fields.votersOutgoing.map(idFrom),
    learners: fields.learners.map(idFrom),
    learnersNext: fields.learnersNext.map(idFrom),
    autoLeave: fields.autoLeave,
  };
  return { index: fields.index as LogIndex, term: fields.term as Term, conf };
}

function idFrom(text: string): MemberId {
  return BigInt(text) as MemberId;
}
