// The write-ahead log on bytes in memory, by the real codec. Segments outlive processes; a crash
// may leave any subset of the 512-byte sectors of the write under way.

import { CorruptionError, assert } from "../../src/base/index.ts";
import type { Entry, HardState, LogIndex, Rng, SnapshotMeta } from "../../src/base/index.ts";
import {
  BatchEncoder,
  LogImage,
  batchSizeBytes,
  judgeDamagedStart,
  markSizeBytes,
  readSegmentStart,
  scanSegment,
  segmentHeaderBytes,
} from "../../src/storage/index.ts";
import type {
  SegmentEnd,
  Wal,
  WalBatch,
  WalIdentity,
  WalRecord,
  WalRecovered,
  WritePosition,
} from "../../src/storage/index.ts";
import type { Device } from "./device.ts";
import { DurableLog } from "./durable-log.ts";

const sectorBytes = 512;
/** More than the records that open a segment take. */
const headRoomBytes = 2048;

export interface Segment {
  readonly sequence: number;
  bytes: Uint8Array;
}

/** The files of a log. */
export interface WalFiles {
  readonly segmentBytes: number;
  readonly salt: number;
  readonly segments: Segment[];
  /** Where the newest write began: damage from there on looks like a torn write. */
  lastWrite: { sequence: number; offset: number };
  /** What a reader of the files would find, kept up to date for the checks. */
  durable: DurableLog;
  /** Hears of every batch that has become durable, and what term and vote were before. */
  onWrote: (entries: readonly Entry[], before: HardState | undefined) => void;
}

interface OpenSegment {
  readonly file: Segment;
  lastIndex: number;
}

interface WalState {
  readonly identity: WalIdentity;
  readonly segments: OpenSegment[];
  readonly position: WritePosition;
  readonly hardState: HardState;
  readonly snapshot: SnapshotMeta | undefined;
}

/** Files of a founding member's log. */
export function createWalFiles(
  identity: WalIdentity,
  hardState: HardState,
  snapshot: SnapshotMeta | undefined,
  segmentBytes: number,
  salt: number,
): WalFiles {
  const encoder = new BatchEncoder(salt);
  encoder.begin({ offset: 0, chain: 0 }, 64 * 1024);
  encoder.segmentHeader({ sequence: 1, identity, salt, previousChain: 0, sizeBytes: segmentBytes });
  encoder.batch({ hardState, entries: [], snapshot });
  const segment = { sequence: 1, bytes: new Uint8Array(segmentBytes) };
  segment.bytes.set(encoder.end().bytes);
  const durable = new DurableLog();
  durable.apply({ hardState, entries: [], snapshot });
  return {
    segmentBytes,
    salt,
    segments: [segment],
    lastWrite: { sequence: 1, offset: 0 },
    durable,
    onWrote: () => {},
  };
}

interface Replayed {
  readonly state: WalState;
  readonly recovered: WalRecovered;
  readonly torn:
    | { readonly segment: Segment; readonly from: number; readonly to: number }
    | undefined;
}

/** Reads the files as open-wal.ts does. Throws CorruptionError. */
export function replayFiles(files: WalFiles): Replayed {
  const image = new LogImage();
  const segments: OpenSegment[] = [];
  let identity: WalIdentity | undefined;
  let position: WritePosition = { offset: 0, chain: 0 };
  let torn: Replayed["torn"];
  let ended = false;
  const settle = (segment: Segment, end: SegmentEnd): void => {
    if (end.kind === "damaged") {
      throw new CorruptionError(`segment ${segment.sequence}: a record at ${end.at} is damaged`);
    }
    if (end.kind === "torn") {
      torn = { segment, from: end.position.offset, to: end.to };
      ended = true;
    }
    if (end.position.offset > 0) {
      position = end.position;
    }
  };
  for (const segment of files.segments) {
    const start = readSegmentStart(segment.bytes);
    if (start.kind === "unused") {
      ended = true;
      continue;
    }
    if (start.kind === "damaged") {
      if (identity === undefined || ended) {
        throw new CorruptionError(`segment ${segment.sequence}: its header is damaged`);
      }
      settle(segment, judgeDamagedStart(segment.bytes, files.salt));
      continue;
    }
    if (ended || (identity !== undefined && start.header.previousChain !== position.chain)) {
      throw new CorruptionError(`segment ${segment.sequence} does not follow the one before`);
    }
    identity ??= start.header.identity;
    const open = { file: segment, lastIndex: 0 };
    const visit = (record: WalRecord): void => {
      image.apply(record);
      if (record.kind === "entry") {
        open.lastIndex = Math.max(open.lastIndex, record.entry.index);
      }
    };
    settle(segment, scanSegment(segment.bytes, start.header, visit));
    segments.push(open);
  }
  if (identity === undefined) {
    throw new CorruptionError("no segment with a log is there");
  }
  const { hardState, snapshot, entries } = image.finish();
  return {
    state: { identity, segments, position, hardState, snapshot },
    recovered: { identity, hardState, snapshot, entries },
    torn,
  };
}

/** Opens the log: a torn tail is cut, and segments that were never used are made anew later. */
export async function openVirtualWal(
  files: WalFiles,
  device: Device,
): Promise<{ wal: VirtualWal; recovered: WalRecovered; tornBytes: number }> {
  await device.read();
  const { state, recovered, torn } = replayFiles(files);
  if (torn !== undefined) {
    const { segment, from, to } = torn;
    await writeBytes(device, segment, new Uint8Array(to - from), from);
  }
  const used = state.segments.length;
  files.segments.length = used;
  files.durable = DurableLog.of(recovered);
  const tornBytes = torn === undefined ? 0 : torn.to - torn.from;
  return { wal: new VirtualWal(files, device, state), recovered, tornBytes };
}

function writeBytes(
  device: Device,
  segment: Segment,
  bytes: Uint8Array,
  offset: number,
  whenWhole: () => void = () => {},
): Promise<void> {
  return device.write("wal", {
    whole: () => {
      put(segment, bytes, offset, offset + bytes.length, offset);
      whenWhole();
    },
    torn: (rng) => tear(segment, bytes, offset, rng),
  });
}

function put(segment: Segment, bytes: Uint8Array, from: number, to: number, offset: number): void {
  if (to > segment.bytes.length) {
    const longer = new Uint8Array(Math.ceil(to / sectorBytes) * sectorBytes);
    longer.set(segment.bytes);
    segment.bytes = longer;
  }
  segment.bytes.set(bytes.subarray(from - offset, to - offset), from);
}

/** Nothing, everything, a prefix, or any sectors of it. */
function tear(segment: Segment, bytes: Uint8Array, offset: number, rng: Rng): void {
  const mode = rng.below(4);
  const end = offset + bytes.length;
  const cut = offset + rng.below(bytes.length + 1);
  for (let from = offset; from < end; ) {
    const to = Math.min(end, (Math.floor(from / sectorBytes) + 1) * sectorBytes);
    const written =
      mode === 0 ? false : mode === 1 ? true : mode === 2 ? to <= cut : rng.below(2) === 1;
    if (written) {
      put(segment, bytes, from, to, offset);
    }
    from = to;
  }
}

export class VirtualWal implements Wal {
  readonly #files: WalFiles;
  readonly #device: Device;
  readonly #encoder: BatchEncoder;
  readonly #identity: WalIdentity;
  readonly #segments: OpenSegment[];
  #position: WritePosition;
  #hardState: HardState;
  #snapshot: SnapshotMeta | undefined;
  #last: Promise<void> = Promise.resolve();
  #writing = 0;

  constructor(files: WalFiles, device: Device, state: WalState) {
    this.#files = files;
    this.#device = device;
    this.#encoder = new BatchEncoder(files.salt);
    this.#identity = state.identity;
    this.#segments = state.segments;
    this.#position = state.position;
    this.#hardState = state.hardState;
    this.#snapshot = state.snapshot;
  }

  append(batch: WalBatch): Promise<void> {
    assert(this.#writing === 0, "one append at a time");
    this.#writing++;
    return this.#serially(async () => {
      try {
        const size = batchSizeBytes(batch);
        if (size > 0) {
          await this.#writeBatch(
            size,
            (encoder) => encoder.batch(batch),
            () => {
              const { durable, onWrote } = this.#files;
              const before = durable.hardState;
              durable.apply(batch);
              onWrote(batch.entries, before);
            },
          );
          this.#remember(batch);
        }
      } finally {
        this.#writing--;
      }
    });
  }

  markSnapshot(meta: SnapshotMeta, keepFrom: LogIndex): Promise<void> {
    assert(keepFrom <= meta.index + 1, "a log may be cut only below its snapshot mark");
    return this.#serially(async () => {
      await this.#writeBatch(
        markSizeBytes(meta),
        (encoder) => encoder.mark(meta),
        () => {
          this.#files.durable.mark(meta);
        },
      );
      this.#snapshot = meta;
      await this.#removeBelow(keepFrom);
    });
  }

  writtenBytes(): number {
    return this.sizeBytes();
  }

  sizeBytes(): number {
    return (this.#segments.length - 1) * this.#files.segmentBytes + this.#position.offset;
  }

  async close(): Promise<void> {
    await this.#serially(() =>
      this.#writeBatch(
        64,
        (encoder) => encoder.closed(),
        () => {},
      ),
    ).catch(() => {});
  }

  async #serially(task: () => Promise<void>): Promise<void> {
    const before = this.#last;
    let end = (): void => {};
    this.#last = new Promise((resolve) => {
      end = resolve;
    });
    await before;
    try {
      await task();
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

  async #writeBatch(
    sizeBytes: number,
    encode: (encoder: BatchEncoder) => void,
    whenDurable: () => void,
  ): Promise<void> {
    const { offset } = this.#position;
    if (offset > segmentHeaderBytes && offset + sizeBytes > this.#files.segmentBytes) {
      await this.#rollOver();
    }
    const segment = (this.#segments.at(-1) as OpenSegment).file;
    const encoder = this.#encoder;
    encoder.begin(this.#position, sizeBytes + headRoomBytes);
    if (this.#position.offset === 0) {
      encoder.segmentHeader({
        sequence: segment.sequence,
        identity: this.#identity,
        salt: this.#files.salt,
        previousChain: this.#position.chain,
        sizeBytes: this.#files.segmentBytes,
      });
      encoder.hardState(this.#hardState);
      if (this.#snapshot !== undefined) {
        encoder.mark(this.#snapshot);
      }
    }
    encode(encoder);
    const { bytes, next } = encoder.end();
    const at = this.#position.offset;
    await writeBytes(this.#device, segment, bytes.slice(), at, () => {
      this.#files.lastWrite = { sequence: segment.sequence, offset: at };
      whenDurable();
    });
    this.#position = next;
  }

  async #rollOver(): Promise<void> {
    const sequence = (this.#segments.at(-1)?.file.sequence ?? 0) + 1;
    const file: Segment = { sequence, bytes: new Uint8Array(this.#files.segmentBytes) };
    const make = (): void => {
      this.#files.segments.push(file);
    };
    await this.#device.write("segment", {
      whole: make,
      torn: (rng) => (rng.below(2) === 0 ? make() : undefined),
    });
    this.#segments.push({ file, lastIndex: 0 });
    this.#position = { offset: 0, chain: this.#position.chain };
  }

  async #removeBelow(keepFrom: LogIndex): Promise<void> {
    for (;;) {
      const oldest = this.#segments[0];
      if (oldest === undefined || this.#segments.length === 1 || oldest.lastIndex >= keepFrom) {
        return;
      }
      const remove = (): void => {
        this.#files.segments.shift();
      };
      await this.#device.write("segment", {
        whole: remove,
        torn: (rng) => (rng.below(2) === 0 ? remove() : undefined),
      });
      this.#segments.shift();
    }
  }
}
