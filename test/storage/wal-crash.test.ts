// Random histories of a log, each ended by a power cut in its last write: any of the sectors of
// that write may be missing. What was acknowledged is there; of the last write, a prefix.

import { copyFile, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { SeededRng, bytesToHex } from "../../src/base/index.ts";
import type { Entry, HardState, LogIndex, SnapshotMeta } from "../../src/base/index.ts";
import type { WalBatch, WalRecovered } from "../../src/storage/index.ts";
import { openWal } from "../../src/storage/index.ts";
import { entry, hardState, meta, newWal, temporaryDirectory } from "./wal-fixtures.ts";

const segmentSizeBytes = 4096;
const sectorBytes = 512;
const rounds = 40;

/** What a log should hold, kept in the plainest way. */
interface Model {
  readonly hardState: HardState;
  readonly snapshot: SnapshotMeta | undefined;
  readonly entries: readonly Entry[];
}

const empty: Model = { hardState: hardState(0, 0n, 0), snapshot: undefined, entries: [] };

function lastIndex(model: Model): number {
  return model.entries.at(-1)?.index ?? model.snapshot?.index ?? 0;
}

function withSnapshot(model: Model, snapshot: SnapshotMeta): Model {
  const at = model.entries.findIndex((e) => e.index === snapshot.index);
  const matches = model.entries[at]?.term === snapshot.term;
  return { ...model, snapshot, entries: matches ? model.entries.slice(at + 1) : [] };
}

function withEntry(model: Model, added: Entry): Model {
  return { ...model, entries: [...model.entries.filter((e) => e.index < added.index), added] };
}

/** The states after nothing, the first record, the first two ... of `batch`. */
function prefixes(model: Model, batch: WalBatch): Model[] {
  const states = [model];
  const last = (): Model => states.at(-1) as Model;
  if (batch.hardState !== undefined) {
    states.push({ ...last(), hardState: batch.hardState });
  }
  if (batch.snapshot !== undefined) {
    states.push(withSnapshot(last(), batch.snapshot));
  }
  for (const added of batch.entries) {
    states.push(withEntry(last(), added));
  }
  return states;
}

/** Comparable text; term and commit as recovery mends them. */
function textOf(model: Model | WalRecovered): string {
  const { snapshot, entries } = model;
  const first = snapshot?.index ?? 0;
  const last = entries.at(-1)?.index ?? first;
  const term = Math.max(model.hardState.term, entries.at(-1)?.term ?? 0, snapshot?.term ?? 0);
  const vote = term > model.hardState.term ? 0n : model.hardState.vote;
  const commit = Math.max(first, Math.min(model.hardState.commit, last));
  const list = entries.map((e) => `${e.index}.${e.term}.${e.kind}.${bytesToHex(e.data)}`);
  return `${term} ${vote} ${commit} | ${first}.${snapshot?.term} | ${list.join(" ")}`;
}

function randomBatch(model: Model, rng: SeededRng): WalBatch {
  const term = Math.max(1, model.hardState.term + (rng.below(3) === 0 ? 1 : 0));
  const first = model.snapshot?.index ?? 0;
  const last = lastIndex(model);
  if (rng.below(10) === 0) {
    const index = last + rng.below(5);
    const received = index > first ? meta(index, term) : undefined;
    return { hardState: hardState(term, 7n, index), entries: [], snapshot: received };
  }
  const overwrites = rng.below(5) === 0 && last > model.hardState.commit;
  const from = overwrites ? Math.max(model.hardState.commit, first) + 1 : last + 1;
  const entries = Array.from({ length: 1 + rng.below(12) }, (_, i) =>
    entry(from + i, term, "d".repeat(rng.below(200)), rng.below(6) === 0 ? "noop" : "command"),
  );
  const commit = Math.min(from - 1, model.hardState.commit + rng.below(4));
  const state = hardState(term, 7n, Math.max(commit, model.hardState.commit));
  const keepsState = term === model.hardState.term && rng.below(2) === 0;
  return { hardState: keepsState ? undefined : state, entries, snapshot: undefined };
}

/** Copies the segments that have their names; one more may be in the making. */
async function copyLog(from: string, to: string): Promise<void> {
  await mkdir(to);
  for (const name of await readdir(from)) {
    if (name.endsWith(".wal")) {
      await copyFile(join(from, name), join(to, name));
    }
  }
}

/** Takes random sectors of whatever changed between two copies back to what they were. */
async function loseSectors(before: string, after: string, rng: SeededRng): Promise<void> {
  for (const name of await readdir(after)) {
    const now = await readFile(join(after, name));
    const old = await readFile(join(before, name)).catch(() => Buffer.alloc(now.length));
    for (let at = 0; at < now.length; at += sectorBytes) {
      if (rng.below(3) === 0) {
        now.fill(0, at, at + sectorBytes);
        old.copy(now, at, at, at + sectorBytes);
      }
    }
    await writeFile(join(after, name), now);
  }
}

async function runRound(seed: number, round: number): Promise<number> {
  const rng = new SeededRng(seed, round);
  const directory = await temporaryDirectory();
  const path = await newWal(directory, segmentSizeBytes);
  let model = empty;
  let { wal } = await openWal(path, { segmentSizeBytes });
  for (let step = rng.below(25); step > 0; step--) {
    const action = rng.below(12);
    if (action === 0) {
      await wal.close();
      const opened = await openWal(path, { segmentSizeBytes });
      expect(textOf(opened.recovered), `seed ${seed}, round ${round}`).toBe(textOf(model));
      wal = opened.wal;
    } else if (action === 1 && model.entries.length > 2) {
      const marked = model.entries[rng.below(model.entries.length)] as Entry;
      const keep = Math.max(0, marked.index - rng.below(10)) as LogIndex;
      await wal.markSnapshot(meta(marked.index, marked.term), keep);
      model = withSnapshot(model, meta(marked.index, marked.term));
    } else {
      const batch = randomBatch(model, rng);
      await wal.append(batch);
      model = prefixes(model, batch).at(-1) as Model;
    }
  }
  const [before, after] = [join(directory, "before"), join(directory, "after")];
  await copyLog(path, before);
  const batch = randomBatch(model, rng);
  await wal.append(batch);
  await copyLog(path, after);
  await wal.close();
  await loseSectors(before, after, rng);

  const { wal: survivor, recovered } = await openWal(after, { segmentSizeBytes });
  const allowed = prefixes(model, batch).map(textOf);
  const kept = allowed.indexOf(textOf(recovered));
  const context = `seed ${seed}, round ${round}: ${textOf(recovered)}`;
  expect(kept, `${context}\nis none of\n${allowed.join("\n")}`).toBeGreaterThanOrEqual(0);
  const next = entry(lastIndex(recovered) + 1, 1000, "after the power came back");
  await survivor.append({ hardState: undefined, entries: [next], snapshot: undefined });
  await survivor.close();
  const again = await openWal(after, { segmentSizeBytes });
  await again.wal.close();
  expect(again.recovered.entries.at(-1), context).toEqual(next);
  expect(again.recovered.entries.length, context).toBe(recovered.entries.length + 1);
  await rm(directory, { recursive: true });
  return kept === allowed.length - 1 ? 0 : 1;
}

test("a power cut in the last write loses nothing else", async () => {
  const seed = Date.now() % 1_000_000;
  let torn = 0;
  for (let round = 0; round < rounds; round++) {
    torn += await runRound(seed, round);
  }
  expect(torn, `seed ${seed}`).toBeGreaterThan(rounds / 8);
});
