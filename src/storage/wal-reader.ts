// Reading a log as it stands on the disk, and changing nothing: what it adds up to, where it is to
// be cut, and why it is refused.
//
// The end of the last segment may be torn by a crash. Anything else that does not hold is decay or
// a lost file: then the log is refused, because a member that forgot a vote or an entry must not
// vote again.

import { basename } from "node:path";
import { CorruptionError, copyBytes, idToHex } from "../base/index.ts";
import type { Entry, HardState, SnapshotMeta } from "../base/index.ts";
import type { SegmentInfo } from "./file-wal.ts";
import { LogImage } from "./log-image.ts";
import { adviceToRejoin } from "./rejoin-advice.ts";
import { judgeDamagedStart, readSegmentStart, scanSegment } from "./wal-codec.ts";
import type { SegmentEnd, SegmentHeader, WritePosition } from "./wal-codec.ts";
import type { WalIdentity } from "./wal-contract.ts";
import { listSegments, readSegment, segmentPath } from "./wal-segments.ts";

export interface TornTail {
  readonly path: string;
  readonly from: number;
  readonly bytes: Uint8Array;
}

/** What a log that holds was found to be. */
export interface ReadLog {
  readonly identity: WalIdentity;
  readonly salt: number;
  /** Ascending; at least one. */
  readonly segments: SegmentInfo[];
  readonly position: WritePosition;
  readonly nextIsPrepared: boolean;
  /** What the crash of the last write left; it is to be cut before anything is written. */
  readonly tornTail: TornTail | undefined;
  readonly hardState: HardState;
  readonly snapshot: SnapshotMeta | undefined;
  readonly entries: readonly Entry[];
}

/** Reads a log. Throws CorruptionError, naming file and offset, when it cannot be trusted. */
export function readLog(directory: string): Promise<ReadLog> {
  return new LogReader(directory).run();
}

class LogReader {
  readonly #directory: string;
  readonly #image = new LogImage();
  readonly #segments: SegmentInfo[] = [];
  #first: SegmentHeader | undefined;
  #position: WritePosition = { offset: 0, chain: 0 };
  /** The first segment that nothing follows, when a torn write or an unused segment showed it. */
  #ended = false;
  #nextIsPrepared = false;
  #tornTail: TornTail | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async run(): Promise<ReadLog> {
    for (const sequence of await listSegments(this.#directory)) {
      await this.#read(sequence);
    }
    const first = this.#first;
    if (first === undefined || this.#segments.length === 0) {
      throw new CorruptionError(
        `no segment with a log is in ${this.#directory}. ${adviceToRejoin}`,
      );
    }
    return {
      identity: first.identity,
      salt: first.salt,
      segments: this.#segments,
      position: this.#position,
      nextIsPrepared: this.#nextIsPrepared,
      tornTail: this.#tornTail,
      ...this.#finish(),
    };
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

function refusal(path: string, offset: number, what: string): CorruptionError {
  return new CorruptionError(`${path} at offset ${offset}: ${what}. ${adviceToRejoin}`);
}

function withAdvice(path: string, error: unknown): unknown {
  if (error instanceof CorruptionError) {
    return new CorruptionError(`${path}: ${error.message}. ${adviceToRejoin}`, { cause: error });
  }
  return error;
}
