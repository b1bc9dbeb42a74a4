// A disk in memory: what was appended is there at the next opening, a severed life writes no more,
// and a received state takes the place of the old one.

import { describe, expect, it } from "vitest";
import { toClusterId, toMemberId, utf8 } from "../../src/base/index.ts";
import type { Entry, HardState, LogIndex, SnapshotMeta, Term } from "../../src/base/index.ts";
import { MemoryDisk, streamSnapshot } from "../../src/storage/index.ts";
import type { DataDirectory, Engine } from "../../src/storage/index.ts";

const identity = { clusterId: toClusterId(1n), memberId: toMemberId(2n) };
const conf = { voters: [], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };

function entry(index: number, term = 1): Entry {
  return { kind: "command", index: index as LogIndex, term: term as Term, data: utf8(`e${index}`) };
}

function meta(index: number): SnapshotMeta {
  return { index: index as LogIndex, term: 1 as Term, conf };
}

const hardState: HardState = { term: 1 as Term, vote: toMemberId(2n), commit: 3 as LogIndex };

async function made(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  await disk.create({ identity, salt: 1, snapshot: meta(1), fill: (engine) => put(engine, "a") });
  return disk;
}

function put(engine: Engine, key: string): Promise<void> {
  return engine.write([{ kind: "put", key: utf8(key), value: utf8("v") }], { sync: true });
}

async function has({ engine }: DataDirectory, key: string): Promise<boolean> {
  return (await engine.getMany([utf8(key)]))[0] !== undefined;
}

describe("MemoryDisk", () => {
  it("is made once and opened by one at a time", async () => {
    const disk = new MemoryDisk();
    expect(await disk.hasData()).toBe(false);
    await expect(disk.open()).rejects.toThrow("has no data");
    await disk.create({ identity, salt: 1 });
    await expect(disk.create({ identity, salt: 1 })).rejects.toThrow("already has data");
    const first = await disk.open();
    await expect(disk.open()).rejects.toThrow("is in use");
    await first.close();
    await (await disk.open()).close();
  });

  it("keeps log and state from one opening to the next", async () => {
    const disk = await made();
    const first = await disk.open();
    await first.wal.append({ hardState, entries: [entry(2), entry(3)], snapshot: undefined });
    await first.wal.append({ hardState: undefined, entries: [entry(3, 2)], snapshot: undefined });
    await put(first.engine, "b");
    await first.close();
    await expect(put(first.engine, "c")).rejects.toThrow("closed");
    const second = await disk.open();
    expect(second.recovered).toMatchObject({
      identity,
      snapshot: meta(1),
      entries: [entry(2), entry(3, 2)],
      hardState: { commit: 3 },
    });
    expect(await has(second, "b")).toBe(true);
    expect(await has(second, "c")).toBe(false);
    const sizeBytes = second.wal.sizeBytes();
    await second.wal.markSnapshot(meta(2), 2 as LogIndex);
    expect(second.wal.sizeBytes()).toBeLessThan(sizeBytes);
    await second.close();
    expect((await disk.open()).recovered).toMatchObject({
      snapshot: meta(2),
      entries: [entry(3, 2)],
    });
  });

  it("ends a life that is severed without another write, answer or error", async () => {
    const disk = await made();
    const dead = await disk.open();
    disk.sever();
    let settled = 0;
    const count = (): void => {
      settled++;
    };
    dead.wal.append({ hardState, entries: [entry(2)], snapshot: undefined }).then(count, count);
    put(dead.engine, "b").then(count, count);
    const next = await disk.open();
    expect(await has(next, "b")).toBe(false);
    expect(next.recovered.entries).toEqual([]);
    expect(settled).toBe(0);
  });

  it("puts a received state in place of its own, also when its end is sudden", async () => {
    const source = await (await made()).open();
    await put(source.engine, "received");
    const disk = await made();
    const first = await disk.open();
    const { clusterId } = identity;
    const chunks = streamSnapshot(source.engine, { clusterId, meta: meta(9) });
    const received = await first.receive(meta(9), chunks);
    await put(first.engine, "old");
    await received.install();
    expect(await has(first, "received")).toBe(true);
    expect(await has(first, "old")).toBe(false);
    disk.sever();
    const second = await disk.open();
    expect(await has(second, "received")).toBe(true);
    expect(second.recovered).toMatchObject({ snapshot: meta(9), entries: [] });
    expect(second.recovered.hardState.commit).toBe(9);
  });
});
