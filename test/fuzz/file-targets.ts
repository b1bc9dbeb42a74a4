// What operators and users hand over in files and in words: contexts, checkpoints of a mirror,
// lines of an import, certificates and revocation lists, backups, the text of a transaction.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { DecodeError, utf8 } from "../../src/base/index.ts";
import { ConfigError } from "../../src/cli/config-error.ts";
import { readContexts, writeContexts } from "../../src/cli/ctl/contexts.ts";
import { CommandError } from "../../src/cli/ctl/failure.ts";
import { Metrics } from "../../src/cli/ctl/metrics-text.ts";
import { readMirrorState, writeMirrorState } from "../../src/cli/ctl/mirror-state.ts";
import { LineFault, parseLine } from "../../src/cli/ctl/transfer-lines.ts";
import { parseCompare, parseOperation } from "../../src/cli/ctl/txn.ts";
import { parseInitialCluster } from "../../src/cli/initial-cluster.ts";
import { BboltReader } from "../../src/etcd-snapshot/bbolt-reader.ts";
import { BboltWriter } from "../../src/etcd-snapshot/bbolt-writer.ts";
import { EtcdSnapshot } from "../../src/etcd-snapshot/index.ts";
import { derTag, der, derTime, sequence, toPem, unsignedInteger } from "../../src/tls/der.ts";
import { readRevocationLists } from "../../src/tls/revocation.ts";
import { MemoryFile } from "../etcd-snapshot/memory-file.ts";
import { expect } from "./expect.ts";
import { edits, mutate } from "./mutate.ts";
import { bounded, boundedAsync } from "./target.ts";
import type { Target } from "./target.ts";

async function inFile<T>(text: string, work: (path: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "quorate-fuzz-"));
  try {
    const path = join(directory, "file.json");
    await writeFile(path, text);
    return await work(path);
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Text that was whole once, JSON of its shape with values of every kind, or any text at all. */
function nearly(whole: string, keys: readonly string[]): fc.Arbitrary<string> {
  const fields: Record<string, unknown> = JSON.parse(whole) as typeof fields;
  const key = fc.constantFrom(...keys, "__proto__", "constructor");
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom("", "-1", "ff", -1, 1.5, 2 ** 53, null, {}, []),
  );
  return fc.oneof(
    edits.map((list) => Buffer.from(mutate(Buffer.from(whole), list)).toString()),
    fc
      .array(fc.tuple(key, value), { minLength: 1, maxLength: 3 })
      .map((list) => JSON.stringify({ ...fields, ...Object.fromEntries(list) })),
    fc.jsonValue({ maxDepth: 3 }).map((any) => JSON.stringify(any)),
    fc.string({ unit: "binary", maxLength: 40 }),
  );
}

const contexts: Target = {
  name: "files of contexts",
  runs: 200,
  property: fc.asyncProperty(
    nearly('{"format":1,"current":"a","contexts":{"a":{"endpoints":"h:1"},"b":{}}}', [
      "format",
      "current",
      "contexts",
    ]),
    (text) =>
      inFile(text, async (path) => {
        const read = await boundedAsync([CommandError], () => readContexts(path));
        if (read !== undefined) {
          await writeContexts(path, read);
          const again = await readContexts(path);
          expect(JSON.stringify(again) === JSON.stringify(read), "contexts change when kept");
        }
      }),
  ),
};

const identity = { source: "a", destination: "b", prefix: "/p/", destinationPrefix: "/q/" };

const checkpoints: Target = {
  name: "checkpoints of a mirror",
  runs: 200,
  property: fc.asyncProperty(
    nearly(JSON.stringify({ format: 1, ...identity, revision: 7, copyFrom: "2f70" }), [
      "format",
      "source",
      "prefix",
      "revision",
      "copyFrom",
    ]),
    (text) =>
      inFile(text, async (path) => {
        const read = await boundedAsync([CommandError], () => readMirrorState(path, identity));
        if (read !== undefined) {
          expect(read.revision >= 0, `a mirror goes on from revision ${read.revision}`);
          await writeMirrorState(path, identity, read);
          const again = await readMirrorState(path, identity);
          const [was, is] = [read, again].map((point) =>
            JSON.stringify([point?.revision, point?.copyFrom && [...point.copyFrom]]),
          );
          expect(was === is, `the point ${was} is kept as ${is}`);
          const { copyFrom } = JSON.parse(text) as { copyFrom: string | null };
          const hex = read.copyFrom && Buffer.from(read.copyFrom).toString("hex");
          expect((copyFrom ?? undefined) === hex, `${copyFrom} was taken for ${hex}`);
        }
      }),
  ),
};

const lines: Target = {
  name: "lines of an import",
  runs: 1_000,
  property: fc.property(
    fc.oneof(
      nearly('{"export":1,"cluster":"cdf8","revision":42,"prefix":"/app/"}', ["export"]),
      nearly('{"lease":"694d8a1b2c3d4e5f","granted_ttl":60,"ttl":51}', ["lease", "granted_ttl"]),
      nearly('{"key":{"base64":"/w=="},"value":"1","lease":"1f"}', ["key", "value", "lease"]),
      nearly('{"end":true,"keys":2}', ["end", "keys"]),
    ),
    (text) => void bounded([LineFault], () => parseLine(text)),
  ),
};

const initialClusters: Target = {
  name: "initial clusters",
  runs: 800,
  property: fc.property(
    edits,
    fc.stringMatching(/^([ab]=(https?|unix|x):\/{0,2}[[\]:.a1%@/?#,-]{0,12}[,=]?){0,4}$/),
    (list, any) => {
      const whole = "a=http://10.0.0.1:2380,b=https://[::1]:2380,b=http://h.example:1";
      const changed = Buffer.from(mutate(Buffer.from(whole), list)).toString();
      for (const text of [changed, any]) {
        const members = bounded([ConfigError], () => parseInitialCluster(text));
        for (const url of members?.flatMap(({ peerUrls }) => peerUrls) ?? []) {
          const isUnix = url.startsWith("unix");
          expect(isUnix || !/[\s\p{Cc}]/u.test(url), `${JSON.stringify(url)} is no address`);
        }
      }
    },
  ),
};

const transactions: Target = {
  name: "transactions as text",
  runs: 500,
  property: fc.asyncProperty(
    edits,
    fc.constantFrom(
      'mod("key1") > "0"',
      'value("k") = "a b"',
      'lease("k") = "1f"',
      'put key1 "created key1" --lease=7b',
      "get key1 key9 --prefix --limit=3 --sort-by=MODIFY",
      "del key1 --prev-kv",
    ),
    async (list, whole) => {
      const text = Buffer.from(mutate(Buffer.from(whole), list)).toString();
      bounded([CommandError], () => parseCompare(text));
      await boundedAsync([CommandError], () => parseOperation(text));
    },
  ),
};

const serials = [1, 0x1f, 0x80, 0xffff];
const time = derTime(new Date(0));
const revocations = sequence(
  sequence(
    sequence(),
    sequence(),
    time,
    time,
    sequence(
      ...serials.map((serial) =>
        sequence(unsignedInteger(Uint8Array.of(serial >> 8, serial & 255)), time),
      ),
    ),
  ),
  sequence(),
  der(derTag.bitString, Uint8Array.of(0, 1)),
);

const revocationLists: Target = {
  name: "revocation lists",
  runs: 1_000,
  property: fc.property(edits, fc.boolean(), (list, asPem) => {
    expect(readRevocationLists(revocations).size === serials.length, "a list is not understood");
    const changed = mutate(revocations, list);
    const pem = utf8(toPem(revocations, "X509 CRL"));
    const file = asPem ? mutate(pem, list) : changed;
    bounded([RangeError], () => readRevocationLists(Buffer.from(file)));
    bounded([RangeError], () => readRevocationLists(Buffer.from(toPem(changed, "X509 CRL"))));
  }),
};

async function makeBackup(): Promise<Uint8Array> {
  const file = new MemoryFile();
  const writer = new BboltWriter(file);
  for (const [name, count] of [
    ["key", 300] as const,
    ["lease", 5] as const,
    ["meta", 2] as const,
  ]) {
    const bucket = writer.bucket(utf8(name));
    for (let i = 0; i < count; i++) {
      bucket.add(utf8(`${name}${String(i).padStart(9, "0")}`), new Uint8Array(i % 90).fill(i));
    }
    bucket.finish();
    await writer.flush();
  }
  await writer.finish();
  return file.bytes;
}

const backup = makeBackup();

const backups: Target = {
  name: "backup files",
  runs: 100,
  property: fc.asyncProperty(edits, fc.nat(), fc.nat(63), async (list, page, at) => {
    const whole = await backup;
    const file = new MemoryFile();
    // Also where it hurts most: in the head of a page.
    const place = 4096 * (page % Math.ceil(whole.length / 4096)) + at;
    const head = mutate(whole.subarray(place, place + 8), list);
    const bytes = page % 2 === 0 ? mutate(whole, list) : whole.slice();
    if (page % 2 !== 0) {
      bytes.set(head.subarray(0, Math.max(0, Math.min(head.length, bytes.length - place))), place);
    }
    file.bytes = new Uint8Array(bytes);
    await boundedAsync([DecodeError], async () => {
      for (const bucket of await (await BboltReader.open(file)).buckets()) {
        for await (const pairs of bucket.pairs()) {
          expect(pairs.length < 100_000, "pairs without end");
        }
      }
    });
    await boundedAsync([DecodeError], async () => {
      await (await EtcdSnapshot.open(file, { skipHashCheck: true })).status();
    });
  }),
};

const metricTexts: Target = {
  name: "metrics of a member as quoratectl reads them",
  runs: 300,
  property: fc.property(edits, fc.string({ maxLength: 80 }), (list, any) => {
    const whole = '# HELP a b\na{le="1",x="\\"y"} 3\na_bucket{le="+Inf"} 4\nb 1e9\n';
    for (const text of [Buffer.from(mutate(Buffer.from(whole), list)).toString(), any]) {
      bounded([], () => {
        const metrics = new Metrics(text);
        metrics.sum("a");
        metrics.histogram("a");
      });
    }
  }),
};

export const fileTargets: readonly Target[] = [
  contexts,
  checkpoints,
  lines,
  initialClusters,
  transactions,
  revocationLists,
  backups,
  metricTexts,
];
