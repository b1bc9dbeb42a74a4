// A whole state on its way to another member: a pinned view of the engine as a run of chunks.
//
//   chunk  := crc u32 of what follows, continuing from the crc of the chunk before | type u8 | body
//   stream := header rows* end
//   header := "QRATESNP" | format u8 | cluster id u64 | snapshot meta
//   rows   := (key length u32 | value length u32 | key | value)*
//   end    := number of rows u64
//
// The chained crc makes the last chunk's a checksum of the whole: a chunk lost, doubled, altered
// or out of place is found when it arrives. Values were checked when they were read.

import { DecodeError, assert, readU32, readU64, writeU32, writeU64 } from "../base/index.ts";
import type { ClusterId, SnapshotMeta } from "../base/index.ts";
import { checksum } from "./checksum.ts";
import type { BatchOperation, Engine, EngineReader, Row } from "./engine.ts";
import { decodeMeta, encodeMetaBody, metaBodyBytes } from "./wal-records.ts";

const chunkHeadBytes = 5;
const chunkBytesTarget = 256 * 1024;
const batchBytesTarget = 1024 * 1024;
const rowHeadBytes = 8;
const chunkTypes = { header: 1, rows: 2, end: 3 } as const;
/** "QRATESNP" and the format's version. */
const magic = new Uint8Array([0x51, 0x52, 0x41, 0x54, 0x45, 0x53, 0x4e, 0x50, 1]);
const headerFixedBytes = magic.length + 8;

export interface SnapshotHeader {
  readonly clusterId: ClusterId;
  readonly meta: SnapshotMeta;
}

/**
 * The state of `engine` as it is now, in chunks of some 256 KiB (more only for a larger row).
 * The view is taken at once and let go when the iteration ends or is returned from.
 */
export function streamSnapshot(engine: Engine, header: SnapshotHeader): AsyncIterable<Uint8Array> {
  const view = engine.view();
  const chunks = encodeChunks(view, header);
  const iterator: AsyncIterator<Uint8Array> = {
    async next() {
      const step = await chunks.next();
      if (step.done === true) {
        await view.close();
      }
      return step;
    },
    // A generator that was never begun would not run its own clean-up.
    async return() {
      await chunks.return(undefined);
      await view.close();
      return { done: true, value: undefined };
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}

async function* encodeChunks(
  reader: EngineReader,
  header: SnapshotHeader,
): AsyncGenerator<Uint8Array, undefined> {
  let crc = 0;
  const seal = (chunk: Uint8Array): Uint8Array => {
    crc = checksum(chunk.subarray(4), crc);
    writeU32(chunk, 0, crc);
    return chunk;
  };
  yield seal(encodeHeader(header));
  let rowCount = 0;
  for await (const rows of reader.scan({ from: new Uint8Array(0), to: undefined })) {
    rowCount += rows.length;
    for (const group of groupRows(rows)) {
      yield seal(encodeRows(group));
    }
  }
  const end = newChunk(chunkTypes.end, 8);
  writeU64(end, chunkHeadBytes, rowCount);
  yield seal(end);
}

function newChunk(type: number, bodyBytes: number): Uint8Array {
  const chunk = new Uint8Array(chunkHeadBytes + bodyBytes);
  chunk[4] = type;
  return chunk;
}

function encodeHeader(header: SnapshotHeader): Uint8Array {
  const chunk = newChunk(chunkTypes.header, headerFixedBytes + metaBodyBytes(header.meta));
  const view = new DataView(chunk.buffer);
  chunk.set(magic, chunkHeadBytes);
  view.setBigUint64(chunkHeadBytes + magic.length, header.clusterId);
  encodeMetaBody(header.meta, view, chunkHeadBytes + headerFixedBytes);
  return chunk;
}

function rowBytes([key, value]: Row): number {
  return rowHeadBytes + key.length + value.length;
}

function* groupRows(rows: readonly Row[]): Generator<readonly Row[]> {
  let from = 0;
  let size = 0;
  for (const [i, row] of rows.entries()) {
    if (size > 0 && size + rowBytes(row) > chunkBytesTarget) {
      yield rows.slice(from, i);
      from = i;
      size = 0;
    }
    size += rowBytes(row);
  }
  if (from < rows.length) {
    yield rows.slice(from);
  }
}

function encodeRows(rows: readonly Row[]): Uint8Array {
  const chunk = newChunk(
    chunkTypes.rows,
    rows.reduce((sum, row) => sum + rowBytes(row), 0),
  );
  let offset = chunkHeadBytes;
  for (const [key, value] of rows) {
    writeU32(chunk, offset, key.length);
    writeU32(chunk, offset + 4, value.length);
    chunk.set(key, offset + rowHeadBytes);
    chunk.set(value, offset + rowHeadBytes + key.length);
    offset += rowHeadBytes + key.length + value.length;
  }
  assert(offset === chunk.length);
  return chunk;
}

/**
 * Writes a received state into `engine`, which must be empty, and makes it durable. Throws
 * DecodeError when the stream is damaged, ends early, or is not the state that `expected` names.
 */
export async function fillFromSnapshot(
  engine: Engine,
  chunks: AsyncIterable<Uint8Array>,
  expected: SnapshotHeader,
): Promise<void> {
  const filler = new SnapshotFiller(engine, expected);
  for await (const chunk of chunks) {
    await filler.take(chunk);
  }
  filler.finish();
}

class SnapshotFiller {
  readonly #engine: Engine;
  readonly #expected: SnapshotHeader;
  #crc = 0;
  #stage: "header" | "rows" | "ended" = "header";
  #rowCount = 0;
  #batch: BatchOperation[] = [];
  #batchBytes = 0;

  constructor(engine: Engine, expected: SnapshotHeader) {
    this.#engine = engine;
    this.#expected = expected;
  }

  async take(chunk: Uint8Array): Promise<void> {
    if (chunk.length < chunkHeadBytes) {
      throw new DecodeError("snapshot: a chunk is cut off");
    }
    this.#crc = checksum(chunk.subarray(4), this.#crc);
    if (this.#crc !== readU32(chunk, 0)) {
      throw new DecodeError("snapshot: a chunk was altered or is out of place");
    }
    const type = chunk[4];
    const body = chunk.subarray(chunkHeadBytes);
    if (this.#stage === "header" && type === chunkTypes.header) {
      this.#checkHeader(body);
      this.#stage = "rows";
    } else if (this.#stage === "rows" && type === chunkTypes.rows) {
      this.#takeRows(body);
      if (this.#batchBytes >= batchBytesTarget) {
        await this.#write(false);
      }
    } else if (this.#stage === "rows" && type === chunkTypes.end) {
      if (body.length !== 8 || readU64(body, 0) !== this.#rowCount) {
        throw new DecodeError("snapshot: the number of rows does not match");
      }
      await this.#write(true);
      this.#stage = "ended";
    } else {
      throw new DecodeError(`snapshot: chunk of type ${type} where it does not belong`);
    }
  }

  finish(): void {
    if (this.#stage !== "ended") {
      throw new DecodeError("snapshot: the stream ended early");
    }
  }

  #checkHeader(body: Uint8Array): void {
    if (body.length < headerFixedBytes || !magic.every((byte, i) => body[i] === byte)) {
      throw new DecodeError("snapshot: not a snapshot of this format");
    }
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    const meta = decodeMeta(
      new DataView(body.buffer, body.byteOffset + headerFixedBytes, body.length - headerFixedBytes),
    );
    if (view.getBigUint64(magic.length) !== this.#expected.clusterId) {
      throw new DecodeError("snapshot: it belongs to another cluster");
    }
    if (meta.index !== this.#expected.meta.index || meta.term !== this.#expected.meta.term) {
      throw new DecodeError(`snapshot: it stands at index ${meta.index}, not where announced`);
    }
  }

  #takeRows(body: Uint8Array): void {
    let offset = 0;
    while (offset < body.length) {
      const keyAt = offset + rowHeadBytes;
      const end =
        keyAt <= body.length ? keyAt + readU32(body, offset) + readU32(body, offset + 4) : Infinity;
      if (end > body.length) {
        throw new DecodeError("snapshot: a row is cut off");
      }
      const valueAt = keyAt + readU32(body, offset);
      const key = body.subarray(keyAt, valueAt);
      this.#batch.push({ kind: "put", key, value: body.subarray(valueAt, end) });
      this.#rowCount++;
      offset = end;
    }
    this.#batchBytes += body.length;
  }

  async #write(sync: boolean): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    await this.#engine.write(batch, { sync });
  }
}
