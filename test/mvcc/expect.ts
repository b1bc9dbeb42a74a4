// Comparing what the store gives with what the model says, byte by byte.

import { expect } from "vitest";
import type { Commit, RangeQuery, Store } from "../../src/mvcc/contract.ts";
import { encodePair } from "./encode.ts";
import type { Model, ModelEvent } from "./model.ts";

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

export function hexPair(event: ModelEvent): string {
  return hex(encodePair(event, { keyOnly: false }));
}

export function expectRange(
  reader: Pick<Store, "range">,
  query: RangeQuery,
  expected: ReturnType<Model["range"]>,
): void {
  const result = reader.range(query);
  const { keysOnly } = query;
  expect(result.count, "count").toBe(expected.count);
  expect(result.kvs.map((pair) => hex(pair.message))).toEqual(
    expected.pairs.map((event) => hex(encodePair(event, { keyOnly: keysOnly }))),
  );
  expect(result.more, "more").toBe(expected.more);
  for (const { field, message } of result.kvs) {
    expect(field[0]).toBe(0x12);
    expect(hex(field.subarray(field.length - message.length))).toBe(hex(message));
  }
}

export function expectEvents(events: Commit["events"], expected: readonly ModelEvent[]): void {
  expect(events.length).toBe(expected.length);
  events.forEach((event, i) => {
    const wanted = expected[i] as ModelEvent;
    const before = wanted.before?.deleted === false ? wanted.before : undefined;
    expect([event.kind, event.revision, event.sub, hex(event.key)]).toEqual([
      wanted.deleted ? "delete" : "put",
      wanted.revision,
      wanted.sub,
      hex(wanted.key),
    ]);
    expect(event.created).toBe(!wanted.deleted && wanted.version === 1);
    expect([event.previousRevision, event.previousSub]).toEqual([
      before?.revision ?? 0,
      before?.sub ?? 0,
    ]);
    expect([event.lease, event.previousLease]).toEqual([wanted.lease, before?.lease ?? 0n]);
    const pair = hexPair(wanted);
    expect(hex(event.message).endsWith(pair)).toBe(true);
    expect(hex(event.message).startsWith(wanted.deleted ? "080112" : "12")).toBe(true);
  });
}
