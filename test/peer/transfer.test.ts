import { describe, expect, test } from "vitest";
import { fromUtf8, utf8 } from "../../src/base/index.ts";
import type { MemberId } from "../../src/base/index.ts";
import type { PeerHandlers } from "../../src/peer/index.ts";
import { PeerError } from "../../src/peer/index.ts";
import { connected, frame, introduce, startMember, until } from "./peer-fixtures.ts";
import type { TestMember } from "./peer-fixtures.ts";

interface Source {
  readonly chunks: AsyncIterable<Uint8Array>;
  produced: number;
  ended: boolean;
}

/** `count` chunks of `sizeBytes`, each filled with its number. */
function source(count: number, sizeBytes: number, failAt = -1): Source {
  const made: Source = {
    produced: 0,
    ended: false,
    chunks: {
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          if (made.produced === failAt) {
            throw new Error("the view broke");
          }
          if (made.produced === count) {
            return { done: true, value: undefined };
          }
          return { done: false, value: new Uint8Array(sizeBytes).fill(made.produced++ & 0xff) };
        },
        return: async () => {
          made.ended = true;
          return { done: true, value: undefined };
        },
      }),
    },
  };
  return made;
}

async function pair(onSnapshot: PeerHandlers["onSnapshot"]): Promise<[TestMember, TestMember]> {
  const members: [TestMember, TestMember] = [
    await startMember(1),
    await startMember(2, { overrides: { onSnapshot } }),
  ];
  introduce(...members);
  return members;
}

async function reasonOf(sending: Promise<void>): Promise<string> {
  return sending.then(
    () => "delivered",
    (error: unknown) =>
      error instanceof PeerError ? `${error.reason}: ${error.message}` : String(error),
  );
}

const header = utf8("header");

describe("a state transfer", () => {
  test("brings header and chunks, and is acknowledged when the receiver is done", async () => {
    let seen = "";
    let isDone = false;
    const [a, b] = await pair(async (from, head, chunks) => {
      let bytes = 0;
      let next = 0;
      for await (const chunk of chunks) {
        expect(chunk[0]).toBe(next++ & 0xff);
        bytes += chunk.length;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
      seen = `${from} ${fromUtf8(head)} ${bytes}`;
      isDone = true;
    });
    const from = source(300, 100_000);
    await a.network.sendSnapshot(b.id, header, from.chunks);
    expect(isDone).toBe(true);
    expect(seen).toBe(`1 header ${300 * 100_000}`);
    expect(from.ended).toBe(true);
    expect(a.counts.snapshotSent).toBe(1);
    expect(b.counts.snapshotReceived).toBe(1);
  });

  test("waits for a slow receiver, while messages pass", async () => {
    let release = (): void => undefined;
    const [a, b] = await pair(async (_from, _head, chunks) => {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      for await (const _ of chunks) {
        continue;
      }
    });
    const from = source(2000, 100_000);
    const sending = reasonOf(a.network.sendSnapshot(b.id, header, from.chunks));
    let before = -1;
    await until(() => {
      const stands = from.produced === before && before > 0;
      before = from.produced;
      return stands;
    });
    expect(from.produced).toBeLessThan(400);
    a.network.send(b.id, frame("passes by"));
    await until(() => b.frames.includes("1:1:passes by"));
    release();
    expect(await sending).toBe("delivered");
    expect(from.produced).toBe(2000);
  });

  test("that the receiver refuses fails with its words", async () => {
    const [a, b] = await pair(async (_from, _head, chunks) => {
      let count = 0;
      for await (const _ of chunks) {
        if (++count === 3) {
          throw new Error("a chunk was altered");
        }
      }
    });
    const from = source(500, 100_000);
    expect(await reasonOf(a.network.sendSnapshot(b.id, header, from.chunks))).toBe(
      "failed: the receiver refused the state: a chunk was altered",
    );
    expect(from.ended).toBe(true);
    expect(await reasonOf(a.network.sendSnapshot(b.id, header, source(1, 10).chunks))).toBe(
      "delivered",
    );
  });

  test("that the sender cannot finish ends with an error at the receiver", async () => {
    let outcome = "";
    const [a, b] = await pair(async (_from, _head, chunks) => {
      try {
        for await (const _ of chunks) {
          continue;
        }
        outcome = "whole";
      } catch (error) {
        outcome = String(error);
        throw error;
      }
    });
    const from = source(50, 1000, 20);
    expect(await reasonOf(a.network.sendSnapshot(b.id, header, from.chunks))).toMatch(
      /the view broke/,
    );
    await until(() => outcome !== "");
    expect(outcome).toMatch(/broke the state transfer off/);
    expect(from.ended).toBe(true);
  });

  test("can be given up", async () => {
    let isBroken = false;
    const [a, b] = await pair(async (_from, _head, chunks) => {
      try {
        for await (const _ of chunks) {
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
      } catch (error) {
        isBroken = true;
        throw error;
      }
    });
    const abort = new AbortController();
    const from = source(100_000, 10_000);
    const sending = reasonOf(a.network.sendSnapshot(b.id, header, from.chunks, abort.signal));
    await until(() => from.produced > 5);
    abort.abort();
    expect(await sending).toMatch(/^aborted/);
    await until(() => isBroken);
    expect(from.ended).toBe(true);
    const late = source(1, 1);
    expect(await reasonOf(a.network.sendSnapshot(b.id, header, late.chunks, abort.signal))).toMatch(
      /^aborted/,
    );
    expect(late.ended).toBe(true);
  });

  test("breaks off when either side goes away", async () => {
    const [a, b] = await pair(async (_from, _head, chunks) => {
      for await (const _ of chunks) {
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    });
    const first = source(100_000, 10_000);
    const sending = reasonOf(a.network.sendSnapshot(b.id, header, first.chunks));
    await until(() => first.produced > 5);
    await b.network.close();
    expect(await sending).toMatch(/^unreachable/);
    const second = source(10, 10);
    expect(await reasonOf(a.network.sendSnapshot(b.id, header, second.chunks))).toMatch(
      /^unreachable/,
    );
    const nobody = source(10, 10);
    expect(await reasonOf(a.network.sendSnapshot(9n as MemberId, header, nobody.chunks))).toMatch(
      /^unreachable/,
    );
    expect([first.ended, second.ended, nobody.ended]).toEqual([true, true, true]);
  });

  test("is given up when the sender closes", async () => {
    const [a, b] = await pair(() => new Promise(() => undefined));
    await connected(a, b);
    const from = source(1000, 100_000);
    const sending = reasonOf(a.network.sendSnapshot(b.id, header, from.chunks));
    await until(() => from.produced > 2);
    await a.network.close();
    expect(await sending).toMatch(/^aborted/);
    expect(from.ended).toBe(true);
  });
});
