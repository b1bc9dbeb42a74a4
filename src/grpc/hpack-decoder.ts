// HPACK decoding (RFC 7541) with bounds: what a block may cost is known before it is read.
//
// A block that is too large as a list is still decoded to its end, because the table must stay in
// step with the peer's; only its fields are dropped. Everything else that is wrong is HpackError,
// which ends the connection (COMPRESSION_ERROR).

import { huffmanDecode } from "./hpack-huffman.ts";
import { DynamicTable, HeaderField, staticTable } from "./hpack-tables.ts";

export class HpackError extends Error {
  override name = "HpackError";
}

export interface HpackLimits {
  /** Fields in one block. */
  readonly headerFieldsMax: number;
  /** Decoded size of one block, 32 bytes a field included. */
  readonly headerListBytesMax: number;
}

/** SETTINGS_HEADER_TABLE_SIZE, the default of HTTP/2, which this server keeps. */
export const headerTableBytes = 4_096;
const tableSizeUpdatesMax = 2;
const integerMax = 2 ** 28;
const staticCount = staticTable.length;
const latin1Slice = Buffer.prototype.latin1Slice;

export class HpackDecoder {
  readonly #table = new DynamicTable(headerTableBytes);
  readonly #limits: HpackLimits;
  #scratch: Uint8Array = new Uint8Array(256);
  #bytes: Uint8Array = new Uint8Array(0);
  #position = 0;
  #end = 0;
  #tooLarge = false;

  constructor(limits: HpackLimits) {
    this.#limits = limits;
  }

  /** Changes whenever the same bytes may decode to something else than before. */
  get generation(): number {
    return this.#table.generation;
  }

  get tableSizeBytes(): number {
    return this.#table.sizeBytes;
  }

  /** Whether the last block broke a limit; its fields are then incomplete. */
  get tooLarge(): boolean {
    return this.#tooLarge;
  }

  /** Decodes one complete header block; throws HpackError. */
  decode(bytes: Uint8Array, start: number, end: number): HeaderField[] {
    const fields: HeaderField[] = [];
    this.#bytes = bytes;
    this.#position = start;
    this.#end = end;
    this.#tooLarge = false;
    let listBytes = 0;
    let updates = 0;
    while (this.#position < end) {
      const first = bytes[this.#position]!;
      if ((first & 0xe0) === 0x20) {
        updates++;
        if (fields.length > 0 || this.#tooLarge || updates > tableSizeUpdatesMax) {
          throw new HpackError("table size update out of place");
        }
        if (!this.#table.resize(this.#integer(5))) {
          throw new HpackError("table size update beyond the setting");
        }
        continue;
      }
      const field = first >= 0x80 ? this.#indexed() : this.#literal(first);
      listBytes += field.sizeBytes;
      if (
        listBytes > this.#limits.headerListBytesMax ||
        fields.length >= this.#limits.headerFieldsMax
      ) {
        this.#tooLarge = true;
      } else {
        fields.push(field);
      }
    }
    return fields;
  }

  #indexed(): HeaderField {
    return this.#at(this.#integer(7));
  }

  #at(index: number): HeaderField {
    const field =
      index <= staticCount ? staticTable[index - 1] : this.#table.at(index - staticCount - 1);
    if (field === undefined) {
      throw new HpackError(`index ${index} is not in the tables`);
    }
    return field;
  }

  #literal(first: number): HeaderField {
    const indexing = (first & 0xc0) === 0x40;
    const nameIndex = this.#integer(indexing ? 6 : 4);
    let field: HeaderField;
    if (nameIndex === 0) {
      const name = this.#string();
      field = new HeaderField(name, this.#string());
    } else {
      const named = this.#at(nameIndex);
      field = new HeaderField(named.name, this.#string(), named.nameKind);
    }
    if (indexing) {
      this.#table.insert(field);
    }
    return field;
  }

  /** An integer with a prefix of `bits` bits (RFC 7541 section 5.1). */
  #integer(bits: number): number {
    const mask = (1 << bits) - 1;
    let value = this.#bytes[this.#position++]! & mask;
    if (value < mask) {
      return value;
    }
    let factor = 1;
    for (;;) {
      if (this.#position >= this.#end) {
        throw new HpackError("integer cut short");
      }
      const byte = this.#bytes[this.#position++]!;
      value += (byte & 0x7f) * factor;
      if (value > integerMax || factor > integerMax) {
        throw new HpackError("integer too large");
      }
      if (byte < 0x80) {
        return value;
      }
      factor *= 128;
    }
  }

  #string(): string {
    if (this.#position >= this.#end) {
      throw new HpackError("string cut short");
    }
    const huffman = this.#bytes[this.#position]! >= 0x80;
    const length = this.#integer(7);
    const start = this.#position;
    const end = start + length;
    if (end > this.#end) {
      throw new HpackError("string cut short");
    }
    this.#position = end;
    if (!huffman) {
      return latin1Slice.call(this.#bytes, start, end);
    }
    if (this.#scratch.length < length * 2) {
      this.#scratch = new Uint8Array(length * 2);
    }
    const decoded = huffmanDecode(this.#bytes, start, end, this.#scratch);
    if (decoded < 0) {
      throw new HpackError("bad Huffman code");
    }
    return latin1Slice.call(this.#scratch, 0, decoded);
  }
}
