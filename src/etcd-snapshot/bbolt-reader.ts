// Reading a bbolt file that nobody vouches for: every page, element and number is checked before it
// is used, no page is read as two things, and the walk ends.

import { compareBytes, DecodeError } from "../base/index.ts";
import {
  bucketFlag,
  bucketHeaderBytes,
  elementBytes,
  metaBytes,
  pageFlags,
  pageHeaderBytes,
  pageSizes,
  parseMetaPage,
  readNumber,
  readPageHeader,
  viewOf,
} from "./bbolt-format.ts";
import type { Meta, PageHeader } from "./bbolt-format.ts";
import type { ByteSource } from "./bytes.ts";

/** Deeper trees than this are none that bbolt made. */
const depthMax = 24;
/** Keys as bbolt allows them; values are bounded by what a page can be read at once. */
const keySizeBytesMax = 32 * 1024;
const pageReadBytesMax = 512 * 1024 * 1024;

export interface Pair {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

interface LeafElement extends Pair {
  readonly isBucket: boolean;
}

export class BboltReader {
  readonly #source: ByteSource;
  readonly meta: Meta;

  private constructor(source: ByteSource, meta: Meta) {
    this.#source = source;
    this.meta = meta;
  }

  /** Throws DecodeError when the file is not one of bbolt's, or shorter than it says. */
  static async open(source: ByteSource): Promise<BboltReader> {
    const meta = await findMeta(source);
    if (meta === undefined) {
      throw new DecodeError("bbolt: not a database file: neither meta page is valid");
    }
    const sizeBytes = meta.pageCount * meta.pageSizeBytes;
    if (meta.pageCount < 3 || sizeBytes > source.sizeBytes) {
      throw new DecodeError(
        `bbolt: the file is cut off: it has ${source.sizeBytes} bytes, its pages take ${sizeBytes}`,
      );
    }
    return new BboltReader(source, meta);
  }

  /** Size of the pages in use, bytes. */
  get sizeBytes(): number {
    return this.meta.pageCount * this.meta.pageSizeBytes;
  }

  /** The buckets at the top, by name. Other values do not stand there. */
  async buckets(): Promise<Bucket[]> {
    const found: Bucket[] = [];
    const walk = new Walk(this.meta.pageCount);
    for await (const elements of this.#leaves(this.meta.rootPage, walk, 0)) {
      for (const { key, value, isBucket } of elements) {
        if (!isBucket) {
          throw new DecodeError("bbolt: a value where only buckets are");
        }
        found.push(this.#bucket(key, value));
      }
    }
    return found;
  }

  #bucket(name: Uint8Array, value: Uint8Array): Bucket {
    if (value.length < bucketHeaderBytes) {
      throw new DecodeError("bbolt: a bucket's header is cut off");
    }
    const rootPage = readNumber(viewOf(value), 0, "a bucket's root");
    const inline = value.subarray(bucketHeaderBytes);
    const pairs = (): AsyncGenerator<readonly Pair[]> => this.#pairs(rootPage, inline);
    return { name, pairs };
  }

  async *#pairs(rootPage: number, inline: Uint8Array): AsyncGenerator<readonly Pair[]> {
    const walk = new Walk(this.meta.pageCount);
    const leaves = rootPage === 0 ? [inlineLeaf(inline, walk)] : this.#leaves(rootPage, walk, 0);
    for await (const elements of leaves) {
      if (elements.some(({ isBucket }) => isBucket)) {
        throw new DecodeError("bbolt: a bucket inside one of etcd's buckets");
      }
      yield elements;
    }
  }

  async *#leaves(page: number, walk: Walk, depth: number): AsyncGenerator<readonly LeafElement[]> {
    if (depth > depthMax) {
      throw new DecodeError(`bbolt: page ${page} lies too deep`);
    }
    const { header, bytes } = await this.#readPage(page, walk);
    if (header.flags === pageFlags.leaf) {
      yield leafElements(bytes, header, walk);
      return;
    }
    if (header.flags !== pageFlags.branch || header.count === 0) {
      throw new DecodeError(`bbolt: page ${page} is neither a leaf nor a branch`);
    }
    for (const child of branchChildren(bytes, header)) {
      yield* this.#leaves(child, walk, depth + 1);
    }
  }

  async #readPage(
    page: number,
    walk: Walk,
  ): Promise<{ readonly header: PageHeader; readonly bytes: Uint8Array }> {
    const { pageSizeBytes, pageCount } = this.meta;
    if (page < 2 || page >= pageCount) {
      throw new DecodeError(`bbolt: there is no page ${page} of ${pageCount}`);
    }
    const first = await this.#source.read(page * pageSizeBytes, pageSizeBytes);
    const header = readPageHeader(first);
    const pages = 1 + header.overflow;
    if (header.id !== page) {
      throw new DecodeError(`bbolt: page ${page} says that it is page ${header.id}`);
    }
    if (page + pages > pageCount || pages * pageSizeBytes > pageReadBytesMax) {
      throw new DecodeError(`bbolt: page ${page} is longer than the file`);
    }
    walk.visit(pages);
    const bytes =
      pages === 1 ? first : await this.#source.read(page * pageSizeBytes, pages * pageSizeBytes);
    return { header, bytes };
  }
}

export interface Bucket {
  readonly name: Uint8Array;
  /** Everything in it, key by key, some at a time. */
  pairs(): AsyncIterable<readonly Pair[]>;
}

/** What a walk over one tree has seen: pages only once, keys only ascending. */
class Walk {
  readonly #pageCount: number;
  #pages = 0;
  #last: Uint8Array | undefined;

  constructor(pageCount: number) {
    this.#pageCount = pageCount;
  }

  visit(pages: number): void {
    this.#pages += pages;
    if (this.#pages > this.#pageCount) {
      throw new DecodeError("bbolt: the tree goes round in a circle");
    }
  }

  checkOrder(key: Uint8Array): void {
    if (this.#last !== undefined && compareBytes(this.#last, key) >= 0) {
      throw new DecodeError("bbolt: keys are not in order");
    }
    this.#last = key;
  }
}

/** The valid meta of the later transaction. The second one's place depends on the page size. */
async function findMeta(source: ByteSource): Promise<Meta | undefined> {
  const metas: Meta[] = [];
  const readAt = async (position: number): Promise<void> => {
    const length = pageHeaderBytes + metaBytes;
    if (position + length <= source.sizeBytes) {
      const meta = parseMetaPage(await source.read(position, length));
      if (meta !== undefined) {
        metas.push(meta);
      }
    }
  };
  await readAt(0);
  const known = metas[0]?.pageSizeBytes;
  for (let size: number = pageSizes.min; size <= pageSizes.max; size *= 2) {
    if (known === undefined || known === size) {
      await readAt(size);
    }
  }
  return metas.sort((a, b) => (a.transaction < b.transaction ? 1 : -1))[0];
}

function elementAt(
  bytes: Uint8Array,
  header: PageHeader,
  index: number,
  position: number,
  length: number,
): Uint8Array {
  const element = pageHeaderBytes + index * elementBytes;
  const start = element + position;
  if (start < pageHeaderBytes + header.count * elementBytes || start + length > bytes.length) {
    throw new DecodeError(`bbolt: page ${header.id}: element ${index} lies outside of the page`);
  }
  return bytes.subarray(start, start + length);
}

function checkElements(bytes: Uint8Array, header: PageHeader): DataView {
  if (pageHeaderBytes + header.count * elementBytes > bytes.length) {
    throw new DecodeError(`bbolt: page ${header.id} has more elements than room`);
  }
  return viewOf(bytes);
}

function leafElements(bytes: Uint8Array, header: PageHeader, walk: Walk): LeafElement[] {
  const view = checkElements(bytes, header);
  const elements: LeafElement[] = [];
  for (let i = 0; i < header.count; i++) {
    const at = pageHeaderBytes + i * elementBytes;
    const keyBytes = view.getUint32(at + 8, true);
    const valueBytes = view.getUint32(at + 12, true);
    if (keyBytes === 0 || keyBytes > keySizeBytesMax) {
      throw new DecodeError(`bbolt: page ${header.id}: a key of ${keyBytes} bytes`);
    }
    const position = view.getUint32(at + 4, true);
    const both = elementAt(bytes, header, i, position, keyBytes + valueBytes);
    const key = both.subarray(0, keyBytes);
    walk.checkOrder(key);
    const flags = view.getUint32(at, true);
    elements.push({ key, value: both.subarray(keyBytes), isBucket: (flags & bucketFlag) !== 0 });
  }
  return elements;
}

function branchChildren(bytes: Uint8Array, header: PageHeader): number[] {
  const view = checkElements(bytes, header);
  const children: number[] = [];
  for (let i = 0; i < header.count; i++) {
    children.push(readNumber(view, pageHeaderBytes + i * elementBytes + 8, "a child's number"));
  }
  return children;
}

function inlineLeaf(inline: Uint8Array, walk: Walk): LeafElement[] {
  if (inline.length < pageHeaderBytes) {
    throw new DecodeError("bbolt: an inline bucket is cut off");
  }
  const header = readPageHeader(inline);
  if (header.flags !== pageFlags.leaf || header.overflow !== 0) {
    throw new DecodeError("bbolt: an inline bucket is not a leaf");
  }
  return leafElements(inline, header, walk);
}
