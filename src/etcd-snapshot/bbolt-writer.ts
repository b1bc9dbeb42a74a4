// Writing a bbolt file from its beginning to its end. Each bucket's keys come in ascending order,
// so its tree grows from below: a leaf is written when it is full, and its first key and number go
// to the branch above, which is written when it is full, and so on. Only the last page of each
// level is in memory. The metas, which point to all this, are written last.

import { assert, compareBytes, concatBytes, emptyBytes } from "../base/index.ts";
import type { ByteSink } from "./bytes.ts";
import {
  bucketFlag,
  bucketHeaderBytes,
  encodeMetaPage,
  elementBytes,
  pageFlags,
  pageHeaderBytes,
  putPageHeader,
  viewOf,
} from "./bbolt-format.ts";

/** etcd's usual one, whatever this machine's is: bbolt goes by the meta. */
const pageSizeBytes = 4096;
const freelistPage = 2;
const firstPage = 3;
/** Pages wait for `flush` in a buffer; whoever adds keys should call it beyond this, bytes. */
const bufferedBytesTarget = 1024 * 1024;
const elementsMax = 0xffff;

export class BboltWriter {
  readonly #sink: ByteSink;
  readonly #buckets: { readonly name: Uint8Array; readonly rootPage: number }[] = [];
  #pages: Uint8Array[] = [];
  #bufferedBytes = 0;
  #written = firstPage * pageSizeBytes;
  #nextPage = firstPage;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  get needsFlush(): boolean {
    return this.#bufferedBytes >= bufferedBytesTarget;
  }

  /** A bucket's tree, to be filled and finished before the next one is begun. */
  bucket(name: Uint8Array): BucketWriter {
    return new BucketWriter(new TreeWriter((page) => this.#append(page)), (rootPage) => {
      this.#buckets.push({ name, rootPage });
    });
  }

  async flush(): Promise<void> {
    const bytes = concatBytes(this.#pages);
    this.#pages = [];
    this.#bufferedBytes = 0;
    await this.#sink.write(this.#written, bytes);
    this.#written += bytes.length;
  }

  /** Writes what points to the buckets; resolves with the size of the file, bytes. */
  async finish(): Promise<number> {
    const root = new TreeWriter((page) => this.#append(page));
    for (const bucket of this.#buckets.sort((a, b) => compareBytes(a.name, b.name))) {
      const value = new Uint8Array(bucketHeaderBytes);
      viewOf(value).setBigUint64(0, BigInt(bucket.rootPage), true);
      root.add(bucket.name, value, bucketFlag);
    }
    const rootPage = root.finish();
    await this.flush();
    const freelist = new Uint8Array(pageSizeBytes);
    putPageHeader(viewOf(freelist), {
      id: freelistPage,
      flags: pageFlags.freelist,
      count: 0,
      overflow: 0,
    });
    const meta = { pageSizeBytes, rootPage, freelistPage, pageCount: this.#nextPage };
    const first = encodeMetaPage(0, { ...meta, transaction: 0n });
    const second = encodeMetaPage(1, { ...meta, transaction: 1n });
    await this.#sink.write(0, concatBytes([first, second, freelist]));
    return this.#nextPage * pageSizeBytes;
  }

  #append(page: Uint8Array): number {
    const id = this.#nextPage;
    viewOf(page).setBigUint64(0, BigInt(id), true);
    this.#nextPage += page.length / pageSizeBytes;
    this.#pages.push(page);
    this.#bufferedBytes += page.length;
    return id;
  }
}

export class BucketWriter {
  readonly #tree: TreeWriter;
  readonly #onFinished: (rootPage: number) => void;

  constructor(tree: TreeWriter, onFinished: (rootPage: number) => void) {
    this.#tree = tree;
    this.#onFinished = onFinished;
  }

  /** `key` must be greater than the one before. Both must not change afterwards. */
  add(key: Uint8Array, value: Uint8Array): void {
    this.#tree.add(key, value, 0);
  }

  finish(): void {
    this.#onFinished(this.#tree.finish());
  }
}

interface Element {
  readonly key: Uint8Array;
  /** A leaf's value; empty in a branch. */
  readonly value: Uint8Array;
  /** A leaf element's flags, or a branch element's page. */
  readonly number: number;
}

/** The page that a level of the tree is filling. */
interface Level {
  elements: Element[];
  sizeBytes: number;
  /** Whether the level has other pages already. */
  hasWritten: boolean;
}

class TreeWriter {
  readonly #append: (page: Uint8Array) => number;
  readonly #levels: Level[] = [newLevel()];
  #last: Uint8Array | undefined;

  /** `append` gives a page its number and keeps it. */
  constructor(append: (page: Uint8Array) => number) {
    this.#append = append;
  }

  add(key: Uint8Array, value: Uint8Array, flags: number): void {
    assert(
      key.length > 0 && (this.#last === undefined || compareBytes(this.#last, key) < 0),
      "keys come in ascending order",
    );
    this.#last = key;
    this.#put(0, { key, value, number: flags });
  }

  /** Writes what is left; returns the number of the root. */
  finish(): number {
    for (let at = 0; ; at++) {
      const level = this.#levels[at];
      assert(level !== undefined, "a level that has written a page has one above it");
      if (!level.hasWritten) {
        return this.#writePage(at, level);
      }
      this.#passUp(at, level);
    }
  }

  #put(at: number, element: Element): void {
    const level = this.#levels[at] ?? newLevel();
    this.#levels[at] = level;
    const size = elementBytes + element.key.length + element.value.length;
    const isFull = level.sizeBytes + size > pageSizeBytes || level.elements.length === elementsMax;
    if (isFull && level.elements.length > 0) {
      this.#passUp(at, level);
    }
    level.elements.push(element);
    level.sizeBytes += size;
  }

  /** Writes a level's page and enters it in the branch above. */
  #passUp(at: number, level: Level): void {
    const key = (level.elements[0] as Element).key;
    const page = this.#writePage(at, level);
    level.hasWritten = true;
    this.#put(at + 1, { key, value: emptyBytes, number: page });
  }

  #writePage(at: number, level: Level): number {
    const page = encodePage(level, at === 0 ? "leaf" : "branch");
    level.elements = [];
    level.sizeBytes = pageHeaderBytes;
    return this.#append(page);
  }
}

function newLevel(): Level {
  return { elements: [], sizeBytes: pageHeaderBytes, hasWritten: false };
}

/** The page without its number; as many pages long as it takes. */
function encodePage({ elements, sizeBytes }: Level, kind: "leaf" | "branch"): Uint8Array {
  const pages = Math.max(1, Math.ceil(sizeBytes / pageSizeBytes));
  const page = new Uint8Array(pages * pageSizeBytes);
  const view = viewOf(page);
  putPageHeader(view, {
    id: 0,
    flags: pageFlags[kind],
    count: elements.length,
    overflow: pages - 1,
  });
  let at = pageHeaderBytes;
  let data = at + elements.length * elementBytes;
  for (const { key, value, number } of elements) {
    if (kind === "leaf") {
      view.setUint32(at, number, true);
      view.setUint32(at + 4, data - at, true);
      view.setUint32(at + 8, key.length, true);
      view.setUint32(at + 12, value.length, true);
    } else {
      view.setUint32(at, data - at, true);
      view.setUint32(at + 4, key.length, true);
      view.setBigUint64(at + 8, BigInt(number), true);
    }
    at += elementBytes;
    page.set(key, data);
    page.set(value, data + key.length);
    data += key.length + value.length;
  }
  return page;
}
