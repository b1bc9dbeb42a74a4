// LevelDB's table files checked as LevelDB could and does not: every block against its checksum
// (leveldb/doc/table_format.md). What is stored there twice, or no longer counts, is checked too.
//
//   file    blocks | footer (48): handle of the meta index, of the index, padding, magic (8)
//   block   contents | type (1: 0 plain, 1 Snappy) | masked CRC-32C of contents and type (4)
//   handle  offset, size without type and CRC: varints
//   index   entries: shared, unshared, value size as varints | key suffix | handle of a block;
//           then restart offsets (4 each) and their count (4). Numbers are little-endian.

import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { CorruptionError, crc32c } from "../base/index.ts";

const footerBytes = 48;
const trailerBytes = 5;
const magic = 0xdb4775248b80fb57n;
const maskDelta = 0xa282ead8;

interface Handle {
  readonly offset: number;
  readonly sizeBytes: number;
}

/** Throws CorruptionError naming file and offset. */
export async function verifyTable(path: string): Promise<void> {
  const file = await open(path, "r");
  try {
    await new TableCheck(path, file, (await file.stat()).size).run();
  } finally {
    await file.close();
  }
}

class TableCheck {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #sizeBytes: number;

  constructor(path: string, file: FileHandle, sizeBytes: number) {
    this.#path = path;
    this.#file = file;
    this.#sizeBytes = sizeBytes;
  }

  async run(): Promise<void> {
    if (this.#sizeBytes < footerBytes) {
      throw this.#damage(0, "the table is shorter than its footer");
    }
    const footerAt = this.#sizeBytes - footerBytes;
    const footer = await this.#read(footerAt, footerBytes);
    const view = new DataView(footer.buffer, footer.byteOffset, footerBytes);
    if (view.getBigUint64(footerBytes - 8, true) !== magic) {
      throw this.#damage(footerAt, "the table's footer is damaged, or its end is cut off");
    }
    const handles = new Varints(footer);
    for (const handle of [handles.handle(), handles.handle()]) {
      for (const block of blocksOf(await this.#block(handle))) {
        await this.#block(block);
      }
    }
  }

  /** A block's contents, after a look at its checksum. */
  async #block({ offset, sizeBytes }: Handle): Promise<Uint8Array> {
    if (offset + sizeBytes + trailerBytes > this.#sizeBytes - footerBytes) {
      throw this.#damage(offset, "a block reaches beyond the end of the table");
    }
    const bytes = await this.#read(offset, sizeBytes + trailerBytes);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const expected = unmask(view.getUint32(sizeBytes + 1, true));
    if (crc32c(bytes.subarray(0, sizeBytes + 1)) !== expected) {
      throw this.#damage(offset, `a block of ${sizeBytes} bytes does not match its checksum`);
    }
    const contents = bytes.subarray(0, sizeBytes);
    return bytes[sizeBytes] === 1 ? unsnap(contents) : contents;
  }

  async #read(position: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    const { bytesRead } = await this.#file.read(bytes, 0, length, position);
    if (bytesRead < length) {
      throw this.#damage(position, "the table cannot be read to its end");
    }
    return bytes;
  }

  #damage(offset: number, what: string): CorruptionError {
    return new CorruptionError(`${this.#path} at offset ${offset}: ${what}`);
  }
}

function unmask(masked: number): number {
  const rotated = (masked - maskDelta) >>> 0;
  return ((rotated >>> 17) | (rotated << 15)) >>> 0;
}

/** Reads varints; past the end they are 0. */
class Varints {
  readonly #bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  next(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#bytes[this.at++] ?? 0;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        return value;
      }
    }
  }

  handle(): Handle {
    return { offset: this.next(), sizeBytes: this.next() };
  }
}

/** The blocks that an index names. Its checksum has been looked at. */
function blocksOf(index: Uint8Array): Handle[] {
  const view = new DataView(index.buffer, index.byteOffset, index.length);
  const restarts = view.getUint32(index.length - 4, true);
  const end = index.length - 4 - 4 * restarts;
  const reader = new Varints(index);
  const handles: Handle[] = [];
  while (reader.at < end) {
    reader.next();
    const unshared = reader.next();
    const valueBytes = reader.next();
    const value = new Varints(index.subarray(reader.at + unshared));
    handles.push(value.handle());
    reader.at += unshared + valueBytes;
  }
  return handles;
}

/** Snappy (format_description.txt of google/snappy). Its checksum has been looked at. */
function unsnap(compressed: Uint8Array): Uint8Array {
  const reader = new Varints(compressed);
  const bytes = new Uint8Array(reader.next());
  const little = (count: number): number => {
    let value = 0;
    for (let i = 0; i < count; i++) {
      value += (compressed[reader.at++] ?? 0) * 256 ** i;
    }
    return value;
  };
  for (let to = 0; to < bytes.length && reader.at < compressed.length; ) {
    const tag = little(1);
    const high = tag >> 2;
    if ((tag & 3) === 0) {
      const length = (high < 60 ? high : little(high - 59)) + 1;
      bytes.set(compressed.subarray(reader.at, reader.at + length), to);
      reader.at += length;
      to += length;
      continue;
    }
    const isShort = (tag & 3) === 1;
    const length = isShort ? (high & 7) + 4 : high + 1;
    const offset = isShort ? ((tag >> 5) << 8) + little(1) : little((tag & 3) === 2 ? 2 : 4);
    // Byte by byte: a copy may overlap what it makes.
    for (const last = to + length; to < last; to++) {
      bytes[to] = bytes[to - offset] ?? 0;
    }
  }
  return bytes;
}
