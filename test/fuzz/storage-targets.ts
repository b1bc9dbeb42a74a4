// Bytes that disks and other members give back: records of the state, the log, a state on its way.

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { DecodeError, StorageError } from "../../src/base/index.ts";
import type { MemberId, Revision } from "../../src/base/index.ts";
import type { OpenedState } from "../../src/node/index.ts";
import {
  createMemoryEngine,
  createWal,
  fillFromSnapshot,
  openWal,
  streamSnapshot,
} from "../../src/storage/index.ts";
import type { Row } from "../../src/storage/engine.ts";
import { checksumBytes, openValue, sealValue } from "../../src/storage/engine-records.ts";
import { parseRecordKey } from "../../src/mvcc/record-keys.ts";
import { entries, hardState, meta } from "../storage/values.ts";
import { expect } from "./expect.ts";
import { clusterId, engineOf, loading, makeStates, open, rowsOf } from "./member-state.ts";
import { edits, mutate } from "./mutate.ts";
import { bounded, boundedAsync } from "./target.ts";
import type { Target } from "./target.ts";

const wholeRange = {
  key: new Uint8Array(1),
  rangeEnd: new Uint8Array(1),
  limit: 0,
  keysOnly: false,
  countOnly: false,
  sortTarget: "key",
  sortOrder: "none",
  minModRevision: 0,
  maxModRevision: 0,
  minCreateRevision: 0,
  maxCreateRevision: 0,
} as const;

/** Reads everything that a client could ask for, and goes on with compaction. */
async function readAll(opened: OpenedState): Promise<void> {
  const { store } = opened.state;
  for (const revision of [0, store.revision, store.compactedRevision + 5]) {
    if (revision <= store.revision) {
      const query = { ...wholeRange, revision: revision as Revision };
      await loading(opened, () => store.range(query));
    }
  }
  const from = (store.compactedRevision + 1) as Revision;
  await loading(opened, () => store.events(from, store.revision, 10_000));
  for (const lease of opened.state.lessor.ids()) {
    await loading(opened, () => store.leaseKeys(lease));
  }
  const walk = store.beginHash(store.revision);
  while (await loading(opened, () => walk.step())) {
    // Each piece may miss other records.
  }
  for (let steps = 0; steps < 1_000; steps++) {
    if (!(await loading(opened, () => store.compactStep()))) {
      return;
    }
  }
  expect(false, "compaction does not come to an end");
}

const madeStates = makeStates();
const madeState = madeStates.then((states) => states.at(-1) as Row[]);

/**
 * What gets past the engine's checksums: a record that is gone, or one from before. The small
 * records, which are protobuf, and blocks are also altered; pages trust their checksum.
 */
function damage(states: readonly Row[][], at: number, list: Parameters<typeof mutate>[1]): Row[] {
  const rows = [...(states.at(-1) as Row[])];
  const which = at % rows.length;
  const [key, value] = rows[which] as Row;
  const older = states
    .flat()
    .filter((row) => Buffer.compare(row[0], key) === 0 && Buffer.compare(row[1], value) !== 0);
  const { kind } = parseRecordKey(key);
  if ((kind === "other" || kind === "block") && at % 2 === 0) {
    return rows.with(which, [key, mutate(value, list)]);
  }
  return older.length > 0 && at % 3 !== 0
    ? rows.with(which, older[at % older.length] as Row)
    : rows.toSpliced(which, 1);
}

const records: Target = {
  name: "records of the state",
  runs: 150,
  property: fc.asyncProperty(fc.nat(), edits, async (at, list) => {
    const engine = await engineOf(damage(await madeStates, at, list));
    await boundedAsync([StorageError], async () => readAll(await open(engine)));
  }),
};

const storedValues: Target = {
  name: "values with their checksums",
  runs: 1_000,
  property: fc.property(
    fc.uint8Array({ minLength: 1, maxLength: 20 }),
    fc.uint8Array({ maxLength: 200 }),
    edits,
    (key, value, list) => {
      const stored = new Uint8Array(value.length + checksumBytes);
      sealValue(key, value, stored);
      const changed = mutate(stored, list);
      const opened = bounded([StorageError], () => openValue(key, changed));
      expect(
        opened === undefined || Buffer.compare(changed, stored) === 0,
        "an altered value was taken for whole",
      );
    },
  ),
};

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const found: Uint8Array[] = [];
  for await (const chunk of chunks) {
    found.push(chunk.slice());
  }
  return found;
}

async function* eachOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

const header = { clusterId, meta: meta(9, 2) };

const snapshots: Target = {
  name: "states on their way",
  runs: 150,
  property: fc.asyncProperty(fc.nat(), edits, fc.nat(3), async (at, list, how) => {
    const source = await engineOf((await madeState).slice(0, 60));
    const chunks = await collect(streamSnapshot(source, header));
    const which = at % chunks.length;
    const chunk = chunks[which] as Uint8Array;
    const changed =
      how === 0
        ? chunks.toSpliced(which, 1)
        : how === 1
          ? [...chunks, chunk]
          : chunks.with(which, mutate(chunk, list));
    const engine = createMemoryEngine();
    const isWhole = await boundedAsync([DecodeError], async () => {
      await fillFromSnapshot(engine, eachOf(changed), header);
      return true;
    });
    if (isWhole) {
      const same = Buffer.compare(Buffer.concat(changed), Buffer.concat(chunks)) === 0;
      expect(same, "an altered state was taken for whole");
      expect((await rowsOf(engine)).length === 60, "a state lost rows on its way");
    }
  }),
};

const segmentSizeBytes = 8 * 1024;

const logs: Target = {
  name: "write-ahead logs",
  runs: 40,
  property: fc.asyncProperty(edits, fc.nat(1), async (list, which) => {
    const directory = await mkdtemp(join(tmpdir(), "quorate-fuzz-"));
    try {
      const path = join(directory, "wal");
      const identity = { clusterId, memberId: 7n as MemberId };
      await createWal(path, { identity, salt: 77 }, { segmentSizeBytes });
      const { wal } = await openWal(path, { segmentSizeBytes });
      for (let from = 1; from <= 200; from += 20) {
        await wal.append({
          hardState: hardState(2, 7n, from - 1),
          entries: entries(from, from + 19, 2),
          snapshot: undefined,
        });
      }
      await wal.close();
      const file = join(path, `000000000000000${which + 1}.wal`);
      await writeFile(file, mutate(await readFile(file), list));
      await boundedAsync([StorageError], async () => {
        const opened = await openWal(path, { segmentSizeBytes });
        await opened.wal.close();
        const wrong = opened.recovered.entries.find(
          (entry, i) =>
            entry.index !== i + 1 || Buffer.from(entry.data).toString() !== `value ${i + 1}`,
        );
        expect(wrong === undefined, `entry ${wrong?.index} is not what was written`);
      });
    } finally {
      await rm(directory, { recursive: true });
    }
  }),
};

export const storageTargets: readonly Target[] = [records, storedValues, snapshots, logs];
