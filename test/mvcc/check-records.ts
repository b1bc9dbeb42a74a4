// What must hold of the engine's records after any batch, and after compaction is through.

import { expect } from "vitest";
import { bytesToHex } from "../../src/base/index.ts";
import { decodeMeta } from "../../src/mvcc/checkpoint.ts";
import { decodeGroupHeader, decodeGroupRefs } from "../../src/mvcc/directory.ts";
import { HistoryBlock } from "../../src/mvcc/history-block.ts";
import { keyPayloadBytes } from "../../src/mvcc/key-entry.ts";
import { Page } from "../../src/mvcc/page.ts";
import { parseRecordKey, pageKey, storeMetaKey } from "../../src/mvcc/record-keys.ts";
import type { FakeEngine } from "./fake-engine.ts";
import type { Model } from "./model.ts";

const payloadBytes = new Map([
  [1, keyPayloadBytes],
  [2, 0],
  [3, 8],
]);

/** Every page belongs to one group, and says what its group says of it; nothing is left over. */
export function checkDirectory(engine: FakeEngine): void {
  const pages = new Set<string>();
  for (const [key, value] of engine.scan(Uint8Array.of(0x67), Uint8Array.of(0x68))) {
    const name = parseRecordKey(key);
    expect(name.kind).toBe("group");
    if (name.kind !== "group") {
      continue;
    }
    const group = decodeGroupHeader(name.tree, name.group, value);
    let total = 0;
    let weight = 0;
    for (const ref of decodeGroupRefs(group, value)) {
      const record = engine.get(pageKey(ref.id));
      expect(record, `page ${ref.id} of group ${name.tree}/${name.group}`).toBeDefined();
      const page = Page.parse(
        record as Uint8Array,
        payloadBytes.get(name.tree) as number,
        `page ${ref.id}`,
      );
      expect([page.count, page.visible]).toEqual([ref.total, ref.visible]);
      expect(Page.stampOf(record as Uint8Array)).toBe(ref.stamp);
      total += ref.total;
      weight += ref.weight;
      pages.add(bytesToHex(pageKey(ref.id)));
    }
    expect([total, weight]).toEqual([group.total, group.weight]);
  }
  const stored = engine
    .scan(Uint8Array.of(0x70), Uint8Array.of(0x71))
    .map(([key]) => bytesToHex(key));
  expect(new Set(stored)).toEqual(pages);
  expect(stored.length).toBe(pages.size);
}

/** Every event to be kept is stored once; blocks below the compacted revision are mostly alive. */
export function checkHistory(engine: FakeEngine, model: Model, compactionDone: boolean): void {
  const stored = new Set<string>();
  const meta = engine.get(storeMetaKey);
  const redoRevision = meta === undefined ? 1 : decodeMeta(meta).redoRevision;
  let last = -1;
  for (const [key, value] of engine.scan(Uint8Array.of(0x68), Uint8Array.of(0x69))) {
    const block = HistoryBlock.parse(value, bytesToHex(key));
    let dead = 0;
    for (let i = 0; i < block.count; i++) {
      const at = block.revisionAt(i) * 1000 + block.subAt(i);
      expect(at).toBeGreaterThan(last);
      last = at;
      stored.add(`${block.revisionAt(i)}.${block.subAt(i)}`);
      const revision = block.revisionAt(i);
      const sub = block.subAt(i);
      const event = model.events.find((e) => e.revision === revision && e.sub === sub);
      expect(event).toBeDefined();
      dead += event !== undefined && model.mustKeep(event) ? 0 : block.sizeAt(i);
    }
    if (compactionDone && block.lastRevision < Math.min(model.compacted, redoRevision)) {
      expect(dead * 2, `dead bytes of block ${bytesToHex(key)}`).toBeLessThan(block.recordBytes);
    }
  }
  for (const event of model.events) {
    if (model.mustKeep(event)) {
      expect(stored).toContain(`${event.revision}.${event.sub}`);
    }
  }
}
