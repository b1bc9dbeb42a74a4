// Watches by their rules: the shape of each response, starts in the past, the future and below the
// compacted revision, filters, ids, progress, fragments.

import { status } from "@grpc/grpc-js";
import { beforeEach, describe, expect, test } from "vitest";
import {
  WatchCreateRequest,
  WatchCreateRequestFilterType as Filter,
  type WatchRequest,
  type WatchResponse,
} from "../../src/wire/index.ts";
import { bytes, prefixEnd, type RawClient, type RawStream, text } from "./raw-client.ts";
import { freshPrefix, roles, type Target, useTargets } from "./targets.ts";

const target = useTargets(["--watch-progress-notify-interval=300ms"]);

type Stream = RawStream<WatchRequest, WatchResponse>;

function create(stream: Stream, request: Partial<WatchCreateRequest>): void {
  const value = WatchCreateRequest.create(request);
  stream.send({ requestUnion: { kind: "createRequest", value } });
}

function cancel(stream: Stream, watchId: bigint): void {
  stream.send({ requestUnion: { kind: "cancelRequest", value: { watchId } } });
}

function askProgress(stream: Stream): void {
  stream.send({ requestUnion: { kind: "progressRequest", value: {} } });
}

/** Events as "PUT key=value" and "DELETE key". */
function events({ events: list }: WatchResponse): string[] {
  return list.map(({ type, kv }) =>
    type === 0 ? `PUT ${text(kv?.key)}=${text(kv?.value)}` : `DELETE ${text(kv?.key)}`,
  );
}

/** Responses until there are `count` events. */
async function eventsOf(stream: Stream, count: number): Promise<string[]> {
  const seen: string[] = [];
  while (seen.length < count) {
    seen.push(...events(await stream.next()));
  }
  return seen;
}

describe.each(roles)("%s", (role) => {
  let client: RawClient;
  let at: Target;
  let prefix = "";
  beforeEach(() => {
    at = target(role);
    client = at.client;
    prefix = freshPrefix("watch");
  });

  async function put(name: string, value = ""): Promise<number> {
    const reply = await client.call("put", { key: bytes(prefix + name), value: bytes(value) });
    return reply.header?.revision ?? 0;
  }

  function all(): Pick<WatchCreateRequest, "key" | "rangeEnd"> {
    return { key: bytes(prefix), rangeEnd: prefixEnd(prefix) };
  }

  test("ids are given from 0; the header of an event is its revision", async () => {
    using stream = client.watch();
    create(stream, all());
    create(stream, { key: bytes(`${prefix}b`) });
    const made = await stream.take(2);
    expect(made.map(({ created, watchId }) => [created, watchId])).toEqual([
      [true, 0n],
      [true, 1n],
    ]);
    const first = await put("a", "1");
    const second = await put("b", "2");
    const seen = await stream.take(3);
    expect(
      seen
        .map((reply) => `${reply.watchId} @${reply.header?.revision} ${events(reply).join()}`)
        .sort(),
    ).toEqual([
      `0 @${first} PUT ${prefix}a=1`,
      `0 @${second} PUT ${prefix}b=2`,
      `1 @${second} PUT ${prefix}b=2`,
    ]);
    expect(seen[0]?.header?.memberId).toBe((await client.call("status")).header?.memberId);
  });

  test("from a revision in the past: all since, in order", async () => {
    const first = await put("a", "1");
    await put("a", "2");
    await client.call("deleteRange", all());
    await put("b", "3");
    using stream = client.watch();
    create(stream, { ...all(), startRevision: first });
    await stream.next();
    const past = [`PUT ${prefix}a=1`, `PUT ${prefix}a=2`, `DELETE ${prefix}a`, `PUT ${prefix}b=3`];
    expect(await eventsOf(stream, 4)).toEqual(past);
    await put("c", "4");
    expect(await eventsOf(stream, 1)).toEqual([`PUT ${prefix}c=4`]);
    using later = client.watch();
    create(later, { ...all(), startRevision: first + 2 });
    expect(await eventsOf(later, 3)).toEqual([...past.slice(2), `PUT ${prefix}c=4`]);
  });

  test("events of one revision come in one response, in the order of the operations", async () => {
    using stream = client.watch();
    create(stream, all());
    await stream.next();
    await put("b", "old");
    await stream.next();
    const key = (name: string): Uint8Array => bytes(prefix + name);
    await client.call("txn", {
      success: [
        { request: { kind: "requestPut", value: putOf(key("z"), "1") } },
        {
          request: {
            kind: "requestDeleteRange",
            value: { key: key("b"), rangeEnd: key("c"), prevKv: false },
          },
        },
        { request: { kind: "requestPut", value: putOf(key("a"), "2") } },
      ],
    });
    expect(events(await stream.next())).toEqual([
      `PUT ${prefix}z=1`,
      `DELETE ${prefix}b`,
      `PUT ${prefix}a=2`,
    ]);
  });

  test("a delete event has the key and the revision, and the pair before when asked", async () => {
    await put("a", "old");
    using stream = client.watch();
    create(stream, { ...all(), prevKv: true });
    await stream.next();
    await put("a", "new");
    const { header } = await client.call("deleteRange", all());
    const created = await put("n");
    const seen = (await stream.take(3)).flatMap((reply) => reply.events);
    expect(seen.map((event) => text(event.prevKv?.value))).toEqual(["old", "new", ""]);
    expect(seen[2]?.prevKv).toBeUndefined();
    expect(seen[1]?.kv).toEqual({
      key: expect.anything(),
      createRevision: 0,
      modRevision: header?.revision,
      version: 0,
      value: expect.objectContaining({ length: 0 }),
      lease: 0n,
    });
    expect(seen[2]?.kv?.createRevision).toBe(created);
  });

  test("filters, and a range up to the end of all keys", async () => {
    using stream = client.watch();
    create(stream, { ...all(), filters: [Filter.NOPUT], watchId: 7n });
    create(stream, { ...all(), filters: [Filter.NODELETE], watchId: 8n });
    create(stream, { key: bytes(`${prefix}x`), rangeEnd: bytes("\0"), watchId: 9n });
    expect((await stream.take(3)).map((reply) => reply.watchId)).toEqual([7n, 8n, 9n]);
    await put("a", "1");
    await client.call("deleteRange", all());
    await put("x", "2");
    const seen = await stream.take(4);
    expect(seen.map((reply) => `${reply.watchId} ${events(reply).join()}`).sort()).toEqual([
      `7 DELETE ${prefix}a`,
      `8 PUT ${prefix}a=1`,
      `8 PUT ${prefix}x=2`,
      `9 PUT ${prefix}x=2`,
    ]);
  });

  test("an id in use and an empty range are refused, the stream lives", async () => {
    using stream = client.watch();
    create(stream, { ...all(), watchId: 5n });
    create(stream, { ...all(), watchId: 5n });
    create(stream, { key: bytes(`${prefix}b`), rangeEnd: bytes(`${prefix}a`) });
    create(stream, { ...all(), startRevision: -1 });
    create(stream, all());
    const shape = (reply: WatchResponse): unknown[] => [
      reply.watchId,
      reply.created,
      reply.canceled,
      reply.cancelReason,
    ];
    expect((await stream.take(5)).map(shape)).toEqual([
      [5n, true, false, ""],
      [-1n, true, true, "mvcc: duplicate watch ID provided on the WatchStream"],
      [-1n, true, true, "mvcc: watcher range is empty"],
      [-1n, true, true, "etcdserver: mvcc: required revision has been compacted"],
      [0n, true, false, ""],
    ]);
  });

  test("cancel: answered for a watch that is there, silent for another", async () => {
    using stream = client.watch();
    create(stream, all());
    await stream.next();
    cancel(stream, 77n);
    cancel(stream, 0n);
    const { watchId, canceled, cancelReason, created } = await stream.next();
    expect([watchId, canceled, created, cancelReason]).toEqual([0n, true, false, ""]);
    await put("a");
    create(stream, all());
    // The id of the one that is gone is not given again.
    expect((await stream.next()).watchId).toBe(1n);
    expect(stream.queued).toEqual([]);
  });

  test("a start below the compacted revision: made, then cancelled with the revision", async () => {
    const first = await put("a", "1");
    const kept = await put("a", "2");
    await put("a", "3");
    await client.call("compact", { revision: kept });
    using stream = client.watch();
    create(stream, { ...all(), startRevision: first });
    const [made, gone] = await stream.take(2);
    expect([made?.created, made?.canceled, made?.watchId]).toEqual([true, false, 0n]);
    expect(gone).toMatchObject({
      watchId: 0n,
      created: false,
      canceled: true,
      compactRevision: kept,
      cancelReason: "",
      events: [],
    });
    expect(gone?.header?.revision).toBe(0);
    // At the compacted revision it may start.
    create(stream, { ...all(), startRevision: kept });
    expect((await stream.next()).created).toBe(true);
    expect(await eventsOf(stream, 2)).toEqual([`PUT ${prefix}a=2`, `PUT ${prefix}a=3`]);
  });

  test("a start in the future hears nothing before it", async () => {
    const now = await put("a");
    using stream = client.watch();
    create(stream, { ...all(), startRevision: now + 3, progressNotify: true });
    expect((await stream.next()).created).toBe(true);
    await put("a", "1");
    await put("a", "2");
    await put("a", "3");
    expect(await eventsOf(stream, 1)).toEqual([`PUT ${prefix}a=3`]);
  });

  test("progress on request: one answer for the stream, after all events", async () => {
    using stream = client.watch();
    create(stream, all());
    await stream.next();
    let last = 0;
    for (let i = 0; i < 20; i++) {
      last = await put("a", String(i));
    }
    let seen = 0;
    // It may stay silent while a watch is behind: clients ask again.
    const asking = setInterval(() => askProgress(stream), 50);
    try {
      askProgress(stream);
      for (;;) {
        const reply = await stream.next();
        if (reply.watchId === -1n) {
          expect(reply.events).toEqual([]);
          if ((reply.header?.revision ?? 0) >= last) {
            break;
          }
          continue;
        }
        seen += reply.events.length;
      }
    } finally {
      clearInterval(asking);
    }
    expect(seen).toBe(20);
  });

  test("progress by itself, for the watch that wants it", async () => {
    using stream = client.watch();
    create(stream, { ...all(), progressNotify: true, watchId: 3n });
    create(stream, { ...all(), watchId: 4n });
    await stream.take(2);
    await client.call("put", { key: bytes(`other-${prefix}`) });
    const reply = await stream.next();
    expect([reply.watchId, reply.events, reply.created]).toEqual([3n, [], false]);
    expect(reply.header?.revision).toBeGreaterThan(0);
  });

  test("fragments only when asked for, each but the last marked", async () => {
    const value = "x".repeat(1_000_000);
    const names = ["a", "b", "c", "d"];
    await Promise.all(names.map((name) => put(name, value)));
    using stream = client.watch();
    create(stream, { ...all(), prevKv: true, fragment: true });
    create(stream, { ...all(), prevKv: true });
    await stream.take(2);
    await client.call("deleteRange", all());
    const pieces: WatchResponse[] = [];
    let whole: WatchResponse | undefined;
    while (whole === undefined || pieces.at(-1)?.fragment !== false) {
      const reply = await stream.next();
      if (reply.watchId === 0n) {
        pieces.push(reply);
      } else {
        whole = reply;
      }
    }
    expect([whole.fragment, whole.events.length]).toEqual([false, 4]);
    expect(pieces.flatMap(events)).toEqual(events(whole));
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.map((piece) => piece.fragment)).toEqual([
      ...pieces.slice(1).map(() => true),
      false,
    ]);
  });

  test("many watches on one stream each hear their own", async () => {
    using stream = client.watch();
    const count = 200;
    for (let i = 0; i < count; i++) {
      create(stream, { key: bytes(prefix + i) });
    }
    await stream.take(count);
    await Promise.all(Array.from({ length: count }, (_, i) => put(String(i), "v")));
    const seen = (await stream.take(count)).map(
      (reply) => `${reply.watchId} ${events(reply).join()}`,
    );
    const expected = Array.from({ length: count }, (_, i) => `${i} PUT ${prefix}${i}=v`);
    expect(seen.sort()).toEqual(expected.sort());
  });

  test("a long past in order, while new events come", async () => {
    const first = await put("k", "0");
    await Promise.all(Array.from({ length: 1_500 }, () => put("k")));
    using stream = client.watch();
    create(stream, { ...all(), startRevision: first });
    await stream.next();
    await Promise.all(Array.from({ length: 100 }, () => put("k")));
    const revisions: number[] = [];
    while (revisions.length < 1_601) {
      const reply = await stream.next();
      revisions.push(...reply.events.map((event) => event.kv?.modRevision ?? 0));
      expect(reply.header?.revision).toBeGreaterThanOrEqual(revisions.at(-1) ?? 0);
    }
    expect(revisions).toEqual(revisions.map((_, i) => first + i));
  });

  test("a half-closed stream still hears; a cancelled one is CANCELLED", async () => {
    const stream = client.watch();
    create(stream, all());
    await stream.next();
    stream.halfClose();
    await put("a", "1");
    expect(events(await stream.next())).toEqual([`PUT ${prefix}a=1`]);
    stream.cancel();
    expect((await stream.end()).code).toBe(status.CANCELLED);
  });
});

function putOf(key: Uint8Array, value: string) {
  return {
    key,
    value: bytes(value),
    lease: 0n,
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
  };
}
