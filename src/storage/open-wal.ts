// Making a log, and opening one: what is kept, what is cut, what is refused.
//
// The end of the last segment may be torn by a crash; it is cut, and the bytes are kept beside
// it in a `.broken` file. Anything else that does not hold is decay or a lost file: then the log
// is refused, because a member that forgot a vote or an entry must not vote again.

import { rename } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CorruptionError, copyBytes, idToHex } from "../base/index.ts";
import type { HardState, SnapshotMeta } from "../base/index.ts";
import {
  makeDirectory,
  removeTree,
  storageFailure,
  syncDirectory,
  writeNewFile,
} from "./durable-files.ts";
import { FileWal } from "./file-wal.ts";
import type { SegmentInfo } from "./file-wal.ts";
import { LogImage } from "./log-image.ts";
import { adviceToRejoin } from "./rejoin-advice.ts";
import { BatchEncoder, judgeDamagedStart, readSegmentStart, scanSegment } from "./wal-codec.ts";
import type { SegmentEnd, SegmentHeader, WritePosition } from "./wal-codec.ts";
import type { Wal, WalIdentity, WalRecovered } from "./wal-contract.ts";
import {
  closeSegment,
  listSegments,
  openSegment,
  prepareSegment,
  readSegment,
  segmentPath,
  segmentSizeBytesDefault,
  writeFully,
} from "./wal-segments.ts";

export interface WalOptions {
  /** Size of segments made from now on, bytes; 64 MiB unless told. */
  readonly segmentSizeBytes?: number | undefined;
}

/** What a new log begins with; a restored member starts at a snapshot. */
export interface WalBeginning {
  readonly identity: WalIdentity;
  /** Any number that a client cannot know. */
  readonly salt: number;
  readonly hardState?: HardState | undefined;
  readonly snapshot?: SnapshotMeta | undefined;
}

/** Makes a log, whole or not at all: it has its name only once everything in it is durable. */
export async function createWal(
  directory: string,
  beginning: WalBeginning,
  options: WalOptions = {},
): Promise<void> {
  const temporary = `${directory}.tmp`;
  const sizeBytes = options.segmentSizeBytes ?? segmentSizeBytesDefault;
  try {
    await removeTree(temporary);
    await makeDirectory(temporary);
    await prepareSegment(temporary, 1, sizeBytes);
    const encoder = new BatchEncoder(beginning.salt);
    encoder.begin({ offset: 0, chain: 0 }, 64 * 1024);
    encoder.segmentHeader({
      sequence: 1,
      identity: beginning.identity,
      salt: beginning.salt,
      previousChain: 0,
      sizeBytes,
    });
    encoder.batch({
      hardState: beginning.hardState,
      entries: [],
      snapshot: beginning.snapshot,
    });
    const file = await openSegment(segmentPath(temporary, 1));
    await writeFully(file, encoder.end().bytes, 0);
    await closeSegment(file);
    await rename(temporary, directory);
    await syncDirectory(dirname(directory));
  } catch (error) {
    throw storageFailure(`making the write-ahead log ${directory}`, error);
  }
}

/** Opens a log. Throws CorruptionError, naming file and offset, when it cannot be trusted. */
export async function openWal(
  directory: string,
  options: WalOptions = {},
): Promise<{ readonly wal: Wal; readonly recovered: WalRecovered }> {
  try {
    return await new Recovery(directory, options).run();
  } catch (error) {
    throw storageFailure(`opening the write-ahead log ${directory}`, error);
  }
}

interface TornTail {
  readonly path: string;
  readonly from: number;
  readonly bytes: Uint8Array;
}

/** Reads everything before it changes anything: a log that is refused stays as it was found. */
class Recovery {
  readonly #directory: string;
  readonly #segmentSizeBytes: number;
  readonly #image = new LogImage();
  readonly #segments: SegmentInfo[] = [];
  #first: SegmentHeader | undefined;
  #position: WritePosition = { offset: 0, chain: 0 };
  /** The first segment that nothing follows, when a torn write or an unused segment showed it. */
  #ended = false;
  #nextIsPrepared = false;
  #tornTail: TornTail | undefined;

  constructor(directory: string, options: WalOptions) {
    this.#directory = directory;
    this.#segmentSizeBytes = options.segmentSizeBytes ?? segmentSizeBytesDefault;
  }

  async run(): Promise<{ readonly wal: Wal; readonly recovered: WalRecovered }> {
    const sequences = await listSegments(this.#directory);
    for (const sequence of sequences) {
      await this.#read(sequence);
    }
    const first = this.#first;
    const last = this.#segments.at(-1);
    if (first === undefined || last === undefined) {
      throw new CorruptionError(
        `no segment with a log is in ${this.#directory}. ${adviceToRejoin}`,
      );
    }
    const { hardState, snapshot, entries } = this.#finish();
    if (this.#tornTail !== undefined) {
      await cutTornTail(this.#tornTail);
    }
    const file = await openSegment(segmentPath(this.#directory, last.sequence));
    const wal = new FileWal({
      directory: this.#directory,
      identity: first.identity,
      salt: first.salt,
      segmentSizeBytes: this.#segmentSizeBytes,
      segments: this.#segments,
      file,
      position: this.#position,
      hardState,
      snapshot,
      nextIsPrepared: this.#nextIsPrepared,
    });
    return { wal, recovered: { identity: first.identity, hardState, snapshot, entries } };
  }

  #finish(): ReturnType<LogImage["finish"]> {
    try {
      return this.#image.finish();
    } catch (error) {
      throw withAdvice(this.#directory, error);
    }
  }

  async #read(sequence: number): Promise<void> {
    const path = segmentPath(this.#directory, sequence);
    const bytes = await readSegment(path);
    const start = readSegmentStart(bytes);
    if (start.kind === "unused") {
      this.#ended = true;
      this.#nextIsPrepared = true;
      return;
    }
    if (this.#nextIsPrepared) {
      throw refusal(path, 0, "the segment before it was never written");
    }
    const previous = this.#segments.at(-1);
    if (previous !== undefined && sequence !== previous.sequence + 1) {
      throw refusal(path, 0, `segment ${previous.sequence + 1} is missing before it`);
    }
    if (start.kind === "damaged") {
      this.#readDamagedStart(path, bytes);
      return;
    }
    this.#checkHeader(path, sequence, bytes, start.header);
    this.#first ??= start.header;
    const segment = { sequence, lastIndex: 0 };
    const end = this.#replay(path, bytes, start.header, segment);
    this.#settle(path, bytes, end);
    this.#segments.push(segment);
  }

  #replay(
    path: string,
    bytes: Uint8Array,
    header: SegmentHeader,
    segment: SegmentInfo,
  ): SegmentEnd {
    try {
      return scanSegment(bytes, header, (record) => {
        this.#image.apply(record);
        if (record.kind === "entry") {
          segment.lastIndex = Math.max(segment.lastIndex, record.entry.index);
        }
      });
    } catch (error) {
      throw withAdvice(path, error);
    }
  }

  #checkHeader(path: string, sequence: number, bytes: Uint8Array, header: SegmentHeader): void {
    if (header.sequence !== sequence) {
      throw refusal(path, 0, `its header says that it is segment ${header.sequence}`);
    }
    if (bytes.length < header.sizeBytes) {
      throw refusal(
        path,
        bytes.length,
        `the file has lost its end (it had ${header.sizeBytes} bytes)`,
      );
    }
    const first = this.#first;
    if (first === undefined) {
      return;
    }
    const { clusterId, memberId } = header.identity;
    if (clusterId !== first.identity.clusterId || memberId !== first.identity.memberId) {
      const whose = `member ${idToHex(memberId)} of cluster ${idToHex(clusterId)}`;
      throw refusal(path, 0, `it belongs to another log (${whose})`);
    }
    if (this.#ended || header.previousChain !== this.#position.chain) {
      const before = basename(segmentPath("", sequence - 1));
      throw refusal(path, 0, `${before} does not end where this segment begins`);
    }
  }

  /** The header goes in the first write, so it may be torn; but not if anything came after. */
  #readDamagedStart(path: string, bytes: Uint8Array): void {
    const first = this.#first;
    if (first === undefined || this.#ended) {
      throw refusal(path, 0, "its header is damaged");
    }
    this.#settle(path, bytes, judgeDamagedStart(bytes, first.salt));
    this.#nextIsPrepared = true;
  }

  #settle(path: string, bytes: Uint8Array, end: SegmentEnd): void {
    if (end.kind === "damaged") {
      const proof = `the record at offset ${end.provenBy} was written after it was durable`;
      throw refusal(path, end.at, `a record is damaged: ${proof}`);
    }
    if (end.kind === "torn") {
      const from = end.position.offset;
      this.#tornTail = { path, from, bytes: copyBytes(bytes.subarray(from, end.to)) };
      this.#ended = true;
    }
    if (end.position.offset > 0) {
      this.#position = end.position;
    }
  }
}

/** Keeps the torn bytes in a file of their own, then makes the place zero again. */
async function cutTornTail({ path, from, bytes }: TornTail): Promise<void> {
  const kept = join(dirname(path), `${basename(path)}.${from}.broken`);
  await removeTree(kept);
  await writeNewFile(kept, bytes);
  await syncDirectory(dirname(path));
  const file = await openSegment(path);
  try {
    await writeFully(file, new Uint8Array(bytes.length), from);
  } finally {
    await closeSegment(file);
  }
}

function refusal(path: string, offset: number, what: string): CorruptionError {
  return new CorruptionError(`${path} at offset ${offset}: ${what}. ${adviceToRejoin}`);
}

function withAdvice(path: string, error: unknown): unknown {
  if (error instanceof CorruptionError) {
    return new CorruptionError(`${path}: ${error.message}. ${adviceToRejoin}`, { cause: error });
  }
  return error;
}
