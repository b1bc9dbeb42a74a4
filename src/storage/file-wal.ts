// The write-ahead log on segment files (the contract is in wal-contract.ts).
//
// One append is one positioned write to a file opened with O_DSYNC: one hop to a pool thread,
// durable when it comes back. The segment after the one in use is made in the background, and
// its header travels in the same write as the first batch in it, so rolling over costs nothing.

import { rm } from "node:fs/promises";
import { StorageError, assert } from "../base/index.ts";
import type { HardState, LogIndex, SnapshotMeta } from "../base/index.ts";
import { storageFailure, syncDirectory } from "./durable-files.ts";
import {
  BatchEncoder,
  batchSizeBytes,
  markSizeBytes,
  recordSizeBytes,
  segmentHeaderBytes,
} from "./wal-codec.ts";
import type { WritePosition } from "./wal-codec.ts";
import type { Wal, WalBatch, WalIdentity } from "./wal-contract.ts";
import { hardStateBodyBytes } from "./wal-records.ts";
import {
  closeSegment,
  openSegment,
  prepareSegment,
  segmentPath,
  writeFully,
} from "./wal-segments.ts";

/** A segment on disk and the highest entry that was ever written to it. */
export interface SegmentInfo {
  readonly sequence: number;
  lastIndex: number;
}

export interface FileWalState {
  readonly directory: string;
  readonly identity: WalIdentity;
  readonly salt: number;
  readonly segmentSizeBytes: number;
  /** Ascending; the last one is in use. */
  readonly segments: SegmentInfo[];
  /** Descriptor of the segment in use, from `openSegment`. */
  readonly file: number;
  /** Offset 0 means that the segment in use has no header yet. */
  readonly position: WritePosition;
  readonly hardState: HardState;
  readonly snapshot: SnapshotMeta | undefined;
  /** Whether the segment after the one in use is on disk already. */
  readonly nextIsPrepared: boolean;
}

/** The next segment is made when the one in use is this full: early, yet idle logs stay small. */
const prepareAtFraction = 0.25;
const hardStateRecordBytes = recordSizeBytes(hardStateBodyBytes);
const closedRecordBytes = recordSizeBytes(0);

export class FileWal implements Wal {
  readonly #directory: string;
  readonly #identity: WalIdentity;
  readonly #segmentSizeBytes: number;
  readonly #encoder: BatchEncoder;
  readonly #salt: number;
  readonly #segments: SegmentInfo[];
  #file: number;
  #position: WritePosition;
  #hardState: HardState;
  #snapshot: SnapshotMeta | undefined;
  #preparing: Promise<void> | undefined;
  #prepared: boolean;
  /** Ends with the write under way or the last one; never rejects. */
  #last: Promise<void> = Promise.resolve();
  #failure: StorageError | undefined;
  #closed = false;

  #writtenBytes = 0;

  constructor(state: FileWalState) {
    this.#directory = state.directory;
    this.#identity = state.identity;
    this.#segmentSizeBytes = state.segmentSizeBytes;
    this.#encoder = new BatchEncoder(state.salt);
    this.#salt = state.salt;
    this.#segments = state.segments;
    this.#file = state.file;
    this.#position = state.position;
    this.#hardState = state.hardState;
    this.#snapshot = state.snapshot;
    this.#prepared = state.nextIsPrepared;
  }

  append(batch: WalBatch): Promise<void> {
    return this.#serially(async () => {
      const size = batchSizeBytes(batch);
      if (size > 0) {
        await this.#writeBatch(size, (encoder) => encoder.batch(batch));
        this.#remember(batch);
      }
    });
  }

  markSnapshot(meta: SnapshotMeta, keepFrom: LogIndex): Promise<void> {
    assert(keepFrom <= meta.index + 1, "a log may be cut only below its snapshot mark");
    return this.#serially(async () => {
      await this.#writeBatch(markSizeBytes(meta), (encoder) => encoder.mark(meta));
      this.#snapshot = meta;
      await this.#removeBelow(keepFrom);
    });
  }

  writtenBytes(): number {
    return this.#writtenBytes;
  }

  sizeBytes(): number {
    return (this.#segments.length - 1) * this.#segmentSizeBytes + this.#position.offset;
  }

  /** Waits for what is under way, and marks the log as closed in order unless it had failed. */
  async close(): Promise<void> {
    if (this.#closed) {
      await this.#last;
      return;
    }
    const marked = this.#serially(async () => {
      if (this.#position.offset > 0) {
        await this.#writeBatch(closedRecordBytes, (encoder) => encoder.closed());
      }
    });
    this.#closed = true;
    try {
      await (this.#failure === undefined ? marked : marked.catch(() => undefined));
    } finally {
      await this.#preparing;
      await closeSegment(this.#file);
    }
  }

  /** Runs `task` after the one before it; the first failure is the answer to all that follow. */
  async #serially(task: () => Promise<void>): Promise<void> {
    if (this.#closed) {
      throw new StorageError("the write-ahead log is closed");
    }
    const before = this.#last;
    let end = (): void => {};
    this.#last = new Promise((resolve) => {
      end = resolve;
    });
    await before;
    try {
      if (this.#failure !== undefined) {
        throw this.#failure;
      }
      await task();
    } catch (error) {
      this.#failure ??= storageFailure(`write-ahead log in ${this.#directory}`, error);
      throw this.#failure;
    } finally {
      end();
    }
  }

  #remember(batch: WalBatch): void {
    this.#hardState = batch.hardState ?? this.#hardState;
    this.#snapshot = batch.snapshot ?? this.#snapshot;
    const last = batch.entries.at(-1);
    const segment = this.#segments.at(-1);
    if (last !== undefined && segment !== undefined) {
      segment.lastIndex = Math.max(segment.lastIndex, last.index);
    }
  }

  /** Durable when it resolves. A batch beyond a segment makes its file grow: slow but right. */
  async #writeBatch(sizeBytes: number, encode: (encoder: BatchEncoder) => void): Promise<void> {
    const { offset } = this.#position;
    if (offset > segmentHeaderBytes && offset + sizeBytes > this.#segmentSizeBytes) {
      await this.#rollOver();
    }
    const encoder = this.#encoder;
    encoder.begin(this.#position, this.#carriedBytes() + sizeBytes);
    if (this.#position.offset === 0) {
      this.#encodeHead(encoder);
    }
    encode(encoder);
    const { bytes, next } = encoder.end();
    await writeFully(this.#file, bytes, this.#position.offset);
    this.#writtenBytes += bytes.length;
    this.#position = next;
    if (next.offset > this.#segmentSizeBytes * prepareAtFraction) {
      this.#prepareNext();
    }
  }

  /** What opens a segment: its header, and what older segments may take with them when removed. */
  #encodeHead(encoder: BatchEncoder): void {
    encoder.segmentHeader({
      sequence: this.#segments.at(-1)?.sequence ?? 0,
      identity: this.#identity,
      salt: this.#salt,
      previousChain: this.#position.chain,
      sizeBytes: this.#segmentSizeBytes,
    });
    encoder.hardState(this.#hardState);
    if (this.#snapshot !== undefined) {
      encoder.mark(this.#snapshot);
    }
  }

  #carriedBytes(): number {
    const mark = this.#snapshot === undefined ? 0 : markSizeBytes(this.#snapshot);
    return segmentHeaderBytes + hardStateRecordBytes + mark;
  }

  async #rollOver(): Promise<void> {
    this.#prepareNext();
    await this.#preparing;
    const sequence = this.#nextSequence();
    if (!this.#prepared) {
      // The background attempt failed, perhaps for want of space that is there now. A new file
      // holds no page that a failed write has marked clean, so this is not the forbidden retry.
      await prepareSegment(this.#directory, sequence, this.#segmentSizeBytes);
    }
    const file = await openSegment(segmentPath(this.#directory, sequence));
    await closeSegment(this.#file);
    this.#file = file;
    this.#segments.push({ sequence, lastIndex: 0 });
    this.#position = { offset: 0, chain: this.#position.chain };
    this.#prepared = false;
  }

  #prepareNext(): void {
    if (this.#prepared || this.#preparing !== undefined) {
      return;
    }
    this.#preparing = prepareSegment(
      this.#directory,
      this.#nextSequence(),
      this.#segmentSizeBytes,
    ).then(
      () => {
        this.#prepared = true;
        this.#preparing = undefined;
      },
      () => {
        this.#preparing = undefined;
      },
    );
  }

  #nextSequence(): number {
    return (this.#segments.at(-1)?.sequence ?? 0) + 1;
  }

  /** Oldest first, so that a crash on the way leaves no hole. */
  async #removeBelow(keepFrom: LogIndex): Promise<void> {
    for (;;) {
      const oldest = this.#segments[0];
      if (oldest === undefined || this.#segments.length === 1 || oldest.lastIndex >= keepFrom) {
        return;
      }
      await rm(segmentPath(this.#directory, oldest.sequence));
      await syncDirectory(this.#directory);
      this.#segments.shift();
    }
  }
}
