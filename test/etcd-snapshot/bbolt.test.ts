// bbolt files: what is written is read again, whatever the sizes; what was altered is refused or
// read as something of the same form, and never crashes or runs on.

import { expect, test } from "vitest";
import { bytesToHex, compareBytes, DecodeError, SeededRng, utf8 } from "../../src/base/index.ts";
import type { Rng } from "../../src/base/index.ts";
import { BboltReader } from "../../src/etcd-snapshot/bbolt-reader.ts";
import type { Pair } from "../../src/etcd-snapshot/bbolt-reader.ts";
import { BboltWriter } from "../../src/etcd-snapshot/bbolt-writer.ts";
import { fnv1a64, pageHeaderBytes } from "../../src/etcd-snapshot/bbolt-format.ts";
import { MemoryFile } from "./memory-file.ts";

const pageBytes = 4096;

type Contents = Record<string, Pair[]>;

function randomPairs(rng: Rng, count: number): Pair[] {
  const keys = new Map<string, Pair>();
  for (let i = 0; i < count; i++) {
    const key = new Uint8Array(1 + rng.below(rng.below(20) === 0 ? 2_000 : 40));
    const value = new Uint8Array(rng.below(30) === 0 ? rng.below(20_000) : rng.below(200));
    for (const bytes of [key, value]) {
      bytes.forEach((_, at) => {
        bytes[at] = rng.below(256);
      });
    }
    keys.set(key.join(), { key, value });
  }
  return [...keys.values()].sort((a, b) => compareBytes(a.key, b.key));
}

async function writeAll(contents: Contents): Promise<MemoryFile> {
  const file = new MemoryFile();
  const writer = new BboltWriter(file);
  for (const [name, pairs] of Object.entries(contents)) {
    const bucket = writer.bucket(utf8(name));
    for (const { key, value } of pairs) {
      bucket.add(key, value);
    }
    bucket.finish();
    await writer.flush();
  }
  expect(await writer.finish()).toBe(file.sizeBytes);
  return file;
}

async function readAll(file: MemoryFile): Promise<Contents> {
  const contents: Contents = {};
  const reader = await BboltReader.open(file);
  for (const bucket of await reader.buckets()) {
    const pairs: Pair[] = [];
    for await (const some of bucket.pairs()) {
      pairs.push(...some.map(({ key, value }) => ({ key, value })));
    }
    contents[new TextDecoder().decode(bucket.name)] = pairs;
  }
  return contents;
}

/** For comparing many pairs, which is slow byte by byte. */
function asText(contents: Contents): string {
  return Object.entries(contents)
    .flatMap(([name, pairs]) => [
      name,
      ...pairs.map(({ key, value }) => `${bytesToHex(key)} ${bytesToHex(value)}`),
    ])
    .join("\n");
}

test("hashes as FNV-1a does", () => {
  expect(fnv1a64(utf8("foobar"))).toBe(0x85944171f73967e8n);
});

test("reads what it wrote: empty buckets, long values, trees of several levels", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  const rng = new SeededRng(seed);
  const contents: Contents = { alarm: [], key: randomPairs(rng, 6_000), meta: randomPairs(rng, 3) };
  const file = await writeAll(contents);
  expect(file.sizeBytes % pageBytes).toBe(0);
  expect(asText(await readAll(file))).toBe(asText(contents));
});

test("refuses altered and cut files with a DecodeError, or reads on in bounds", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  const rng = new SeededRng(seed);
  const whole = await writeAll({ key: randomPairs(rng, 400), lease: randomPairs(rng, 20) });
  let refused = 0;
  for (let round = 0; round < 400; round++) {
    const file = new MemoryFile();
    file.bytes = whole.bytes.slice(0, round % 4 === 0 ? rng.below(whole.sizeBytes) : undefined);
    for (let flips = rng.below(4); flips >= 0 && file.sizeBytes > 0; flips--) {
      // Mostly in heads of pages, where it hurts.
      const inPage = rng.below(3) === 0 ? rng.below(pageBytes) : rng.below(64);
      const at = pageBytes * rng.below(Math.ceil(file.sizeBytes / pageBytes)) + inPage;
      if (at < file.sizeBytes) {
        file.bytes[at] = rng.below(256);
      }
    }
    try {
      await readAll(file);
    } catch (error) {
      expect(error).toBeInstanceOf(DecodeError);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(100);
});

test("one meta page is enough", async () => {
  const contents: Contents = { key: [{ key: utf8("a"), value: utf8("b") }] };
  const file = await writeAll(contents);
  file.bytes.fill(0xff, pageHeaderBytes, pageHeaderBytes + 16);
  expect(await readAll(file)).toEqual(contents);
  file.bytes.fill(0xff, pageBytes + pageHeaderBytes, pageBytes + pageHeaderBytes + 16);
  await expect(readAll(file)).rejects.toThrow("neither meta page is valid");
});
