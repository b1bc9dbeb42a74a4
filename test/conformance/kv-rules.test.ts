// KV by its rules, call by call (etcd-io/etcd server/etcdserver/api/v3rpc and storage/mvcc): which
// keys a range holds, which revisions can be read, what is refused and with which words.

import { status } from "@grpc/grpc-js";
import { beforeEach, describe, expect, test } from "vitest";
import { bytes, expectRefused, prefixEnd, RawClient, text } from "./raw-client.ts";
import { freshPrefix, roles, type Target, useTargets } from "./targets.ts";
import {
  RangeRequestSortOrder as Order,
  RangeRequestSortTarget as By,
  type RangeRequest,
} from "../../src/wire/index.ts";

const target = useTargets();

describe.each(roles)("%s", (role) => {
  let client: RawClient;
  let prefix = "";
  let at: Target;
  beforeEach(() => {
    at = target(role);
    client = at.client;
    prefix = freshPrefix("kv");
  });

  /** Puts `prefix + name` for each; the revision after the last. */
  async function fill(...names: string[]): Promise<number> {
    let revision = 0;
    for (const name of names) {
      const reply = await client.call("put", { key: bytes(prefix + name), value: bytes(name) });
      revision = reply.header?.revision ?? 0;
    }
    return revision;
  }

  function all(): Pick<RangeRequest, "key" | "rangeEnd"> {
    return { key: bytes(prefix), rangeEnd: prefixEnd(prefix) };
  }

  async function names(request: Partial<RangeRequest>): Promise<string[]> {
    const { kvs } = await client.call("range", { ...all(), ...request });
    return kvs.map((kv) => text(kv.key).slice(prefix.length));
  }

  test("which keys a range holds", async () => {
    await fill("a", "b", "c");
    const key = bytes(`${prefix}b`);
    expect(await names({ key, rangeEnd: new Uint8Array() })).toEqual(["b"]);
    expect(await names({ key, rangeEnd: bytes(`${prefix}c`) })).toEqual(["b"]);
    // An end at or before the key is an empty range and no error.
    expect(await names({ key, rangeEnd: key })).toEqual([]);
    expect(await names({ key, rangeEnd: bytes(`${prefix}a`) })).toEqual([]);
    // One zero byte as the end: all keys from this one.
    const from = await client.call("range", { key, rangeEnd: bytes("\0"), limit: 2 });
    expect(from.kvs.map((kv) => text(kv.key))).toEqual([`${prefix}b`, `${prefix}c`]);
    // And as the key too: every key there is.
    const everything = await client.call("range", { key: bytes("\0"), rangeEnd: bytes("\0") });
    expect(everything.count).toBe(everything.kvs.length);
    expect(everything.count).toBeGreaterThanOrEqual(3);
    await expectRefused(
      client.call("range", { key: bytes("") }),
      status.INVALID_ARGUMENT,
      "etcdserver: key is not provided",
    );
  });

  test("limit, more and count", async () => {
    await fill("a", "b", "c");
    const some = await client.call("range", { ...all(), limit: 2 });
    expect([some.kvs.length, some.more, some.count]).toEqual([2, true, 3]);
    const exact = await client.call("range", { ...all(), limit: 3 });
    expect([exact.kvs.length, exact.more, exact.count]).toEqual([3, false, 3]);
    const counted = await client.call("range", { ...all(), countOnly: true, limit: 1 });
    expect([counted.kvs.length, counted.more, counted.count]).toEqual([0, false, 3]);
    // The count ignores the filters too.
    const { kvs, count } = await client.call("range", { ...all(), minModRevision: 2 ** 40 });
    expect([kvs.length, count]).toEqual([0, 3]);
  });

  test("keys only: everything but the value, the lease too", async () => {
    const { id } = await client.call("grant", { ttl: 60 });
    await client.call("put", { key: bytes(`${prefix}a`), value: bytes("long"), lease: id });
    const { kvs } = await client.call("range", { ...all(), keysOnly: true });
    expect(kvs.map((kv) => [text(kv.value), kv.lease, kv.version])).toEqual([["", id, 1]]);
    await client.call("revoke", { id });
  });

  test("sorting by every target, both ways", async () => {
    await fill("b", "a", "c");
    await client.call("put", { key: bytes(`${prefix}b`), value: bytes("z") });
    await client.call("put", { key: bytes(`${prefix}b`), value: bytes("y") });
    await client.call("put", { key: bytes(`${prefix}a`), value: bytes("x") });
    const expected: [number, string[]][] = [
      [By.KEY, ["a", "b", "c"]],
      [By.VERSION, ["c", "a", "b"]],
      [By.CREATE, ["b", "a", "c"]],
      [By.MOD, ["c", "b", "a"]],
      [By.VALUE, ["c", "a", "b"]],
    ];
    for (const [sortTarget, ascending] of expected) {
      const up = await names({ sortTarget, sortOrder: Order.ASCEND });
      expect(up, `ascending by ${sortTarget}`).toEqual(ascending);
      const down = await names({ sortTarget, sortOrder: Order.DESCEND });
      expect(down, `descending by ${sortTarget}`).toEqual([...ascending].reverse());
      // Sorted before it is cut.
      const [first] = await names({ sortTarget, sortOrder: Order.DESCEND, limit: 1 });
      expect(first).toBe(ascending.at(-1));
    }
    for (const wrong of [{ sortOrder: 3 }, { sortTarget: 5 }, { sortOrder: -1 }]) {
      await expectRefused(
        client.call("range", { ...all(), ...wrong }),
        status.INVALID_ARGUMENT,
        "etcdserver: invalid sort option",
      );
    }
  });

  test("a target without an order: cut first, then sorted", async () => {
    await fill("a", "b", "c", "d");
    await fill("b", "a");
    // Two and one more are read (a, b, c), sorted by modification (c, b, a), then cut to two.
    const sorted = await names({ sortTarget: By.MOD, sortOrder: Order.NONE, limit: 2 });
    expect(sorted).toEqual(["c", "b"]);
  });

  test("filters by create and modification revision", async () => {
    const last = await fill("a", "b", "c", "a");
    const first = last - 3;
    expect(await names({ minModRevision: first + 2 })).toEqual(["a", "c"]);
    expect(await names({ maxModRevision: first + 1 })).toEqual(["b"]);
    expect(await names({ minCreateRevision: first + 1 })).toEqual(["b", "c"]);
    expect(await names({ maxCreateRevision: first })).toEqual(["a"]);
    // Filtered before it is cut.
    const cut = await client.call("range", { ...all(), minModRevision: first + 2, limit: 1 });
    expect([cut.kvs.map((kv) => text(kv.key)), cut.more]).toEqual([[`${prefix}a`], true]);
  });

  test("which revisions can be read", async () => {
    const first = await fill("a");
    const last = await fill("a", "a", "b");
    const old = await client.call("range", { ...all(), revision: first });
    expect(old.kvs.map((kv) => [kv.modRevision, kv.version])).toEqual([[first, 1]]);
    // The header tells the present.
    expect(old.header?.revision).toBeGreaterThanOrEqual(last);
    for (const revision of [0, -1, -100]) {
      expect(await names({ revision })).toEqual(["a", "b"]);
    }
    await expectRefused(
      client.call("range", { ...all(), revision: last + 1_000_000 }),
      status.OUT_OF_RANGE,
      "etcdserver: mvcc: required revision is a future revision",
    );
  });

  test("compaction: what is left, what is refused", async () => {
    const first = await fill("a");
    const kept = await fill("a");
    await client.call("put", { key: bytes(`${prefix}dead`) });
    await client.call("deleteRange", { key: bytes(`${prefix}dead`) });
    const last = await fill("a", "b");
    await client.call("compact", { revision: kept });
    const compacted = "etcdserver: mvcc: required revision has been compacted";
    await expectRefused(
      client.call("range", { ...all(), revision: first }),
      status.OUT_OF_RANGE,
      compacted,
    );
    // The compacted revision itself is still readable.
    const still = await client.call("range", { ...all(), revision: kept });
    expect(still.kvs.map((kv) => kv.modRevision)).toEqual([kept]);
    await expectRefused(client.call("compact", { revision: kept }), status.OUT_OF_RANGE, compacted);
    await expectRefused(
      client.call("compact", { revision: last + 1_000_000 }),
      status.OUT_OF_RANGE,
      "etcdserver: mvcc: required revision is a future revision",
    );
    await client.call("compact", { revision: last, physical: true });
    expect(await names({})).toEqual(["a", "b"]);
  });

  test("put: versions, leases, previous pairs", async () => {
    const key = bytes(`${prefix}k`);
    const { id } = await client.call("grant", { ttl: 60 });
    const created = await client.call("put", { key, value: bytes("1"), lease: id, prevKv: true });
    expect(created.prevKv).toBeUndefined();
    const again = await client.call("put", { key, value: bytes("2"), prevKv: true });
    expect([text(again.prevKv?.value), again.prevKv?.lease]).toEqual(["1", id]);
    const revision = created.header?.revision ?? 0;
    const [kv] = (await client.call("range", { key })).kvs;
    // A plain put takes the lease away.
    expect([kv?.createRevision, kv?.version, kv?.lease]).toEqual([revision, 2, 0n]);
    await client.call("deleteRange", { key });
    await client.call("put", { key });
    const [reborn] = (await client.call("range", { key })).kvs;
    expect([reborn?.version, text(reborn?.value)]).toEqual([1, ""]);
    expect(reborn?.createRevision).toBe(reborn?.modRevision);
    await client.call("revoke", { id });
  });

  test("put: keeping the value or the lease", async () => {
    const key = bytes(`${prefix}k`);
    const { id } = await client.call("grant", { ttl: 60 });
    await client.call("put", { key, value: bytes("1"), lease: id });
    await client.call("put", { key, value: bytes("2"), ignoreLease: true });
    await client.call("put", { key, lease: id, ignoreValue: true });
    const [kv] = (await client.call("range", { key })).kvs;
    expect([text(kv?.value), kv?.lease, kv?.version]).toEqual(["2", id, 3]);
    const missing = bytes(`${prefix}none`);
    const refused: [Parameters<typeof client.call<"put">>[1], string][] = [
      [{ key: bytes("") }, "key is not provided"],
      [{ key, value: bytes("x"), ignoreValue: true }, "value is provided"],
      [{ key, lease: id, ignoreLease: true }, "lease is provided"],
      [{ key: missing, ignoreValue: true }, "key not found"],
      [{ key: missing, ignoreLease: true }, "key not found"],
    ];
    for (const [request, words] of refused) {
      const call = client.call("put", request);
      await expectRefused(call, status.INVALID_ARGUMENT, `etcdserver: ${words}`);
    }
    await expectRefused(
      client.call("put", { key, lease: 0x7fffn }),
      status.NOT_FOUND,
      "etcdserver: requested lease not found",
    );
    await client.call("revoke", { id });
  });

  test("what was refused and what changed nothing use up no revision", async () => {
    const before = await fill("a");
    await client.call("deleteRange", { key: bytes(`${prefix}none`) });
    await client.call("put", { key: bytes(`${prefix}b`), lease: 99n }).catch(() => {});
    await client.call("txn", {});
    expect(await fill("a")).toBe(before + 1);
  });

  test("delete: counts and previous pairs in key order", async () => {
    const last = await fill("b", "a", "c");
    const reply = await client.call("deleteRange", { ...all(), prevKv: true });
    expect(reply.deleted).toBe(3);
    expect(reply.header?.revision).toBe(last + 1);
    expect(reply.prevKvs.map((kv) => text(kv.value))).toEqual(["a", "b", "c"]);
    const none = await client.call("deleteRange", all());
    expect([none.deleted, none.header?.revision]).toEqual([0, last + 1]);
    await expectRefused(
      client.call("deleteRange", { key: bytes("") }),
      status.INVALID_ARGUMENT,
      "etcdserver: key is not provided",
    );
    // The past is not touched.
    expect(await names({ revision: last })).toEqual(["a", "b", "c"]);
  });

  test("keys and values are bytes", async () => {
    const odd = Uint8Array.from({ length: 256 }, (_, i) => i);
    const key = Buffer.concat([bytes(prefix), odd]);
    await client.call("put", { key, value: odd });
    const [kv] = (await client.call("range", all())).kvs;
    expect([Buffer.from(kv?.key ?? []), Buffer.from(kv?.value ?? [])]).toEqual([
      key,
      Buffer.from(odd),
    ]);
  });

  test("headers say who answered", async () => {
    const own = await client.call("status");
    const { header } = await client.call("put", { key: bytes(prefix) });
    const read = await client.call("range", { key: bytes(prefix), serializable: true });
    for (const seen of [header, read.header]) {
      expect(seen?.memberId).toBe(own.header?.memberId);
      expect(seen?.clusterId).toBe(own.header?.clusterId);
      expect(seen?.raftTerm).toBe(own.raftTerm);
    }
    expect(read.header?.revision).toBe(header?.revision);
  });

  test("what was just written through another member can be read", async () => {
    for (const [i, endpoint] of at.endpoints.entries()) {
      await client.call("put", { key: bytes(prefix), value: bytes(String(i)) });
      using other = new RawClient(endpoint);
      const { kvs } = await other.call("range", { key: bytes(prefix) });
      expect(text(kvs[0]?.value)).toBe(String(i));
    }
  });
});
