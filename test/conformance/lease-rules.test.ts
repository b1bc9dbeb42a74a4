// Leases by their rules: ids, TTLs and their bounds, what hangs on them, renewal, expiry.

import { status } from "@grpc/grpc-js";
import { beforeEach, describe, expect, test } from "vitest";
import { WatchCreateRequest } from "../../src/wire/index.ts";
import { bytes, expectRefused, prefixEnd, RawClient, text } from "./raw-client.ts";
import { eventually, freshPrefix, roles, type Target, useTargets } from "./targets.ts";

const target = useTargets();
/** Least TTL: one and a half election timeouts of 1 s, in whole seconds. */
const ttlSecondsMin = 2;

let leasesMade = 0n;

/** A lease id that no other case uses. */
function freshId(): bigint {
  leasesMade++;
  return 0x7000_0000n + leasesMade;
}

describe.each(roles)("%s", (role) => {
  let client: RawClient;
  let at: Target;
  beforeEach(() => {
    at = target(role);
    client = at.client;
  });

  async function ttlOf(id: bigint): Promise<number> {
    return (await client.call("timeToLive", { id })).ttl;
  }

  test("ids: chosen by the server when it is 0, never twice", async () => {
    const chosen = await client.call("grant", { ttl: 60 });
    expect(chosen.id > 0n).toBe(true);
    expect(chosen.error).toBe("");
    const id = freshId();
    expect((await client.call("grant", { ttl: 60, id })).id).toBe(id);
    await expectRefused(
      client.call("grant", { ttl: 60, id }),
      status.FAILED_PRECONDITION,
      "etcdserver: lease already exists",
    );
    await client.call("revoke", { id });
    expect((await client.call("grant", { ttl: 60, id })).id).toBe(id);
    for (const lease of [id, chosen.id]) {
      await client.call("revoke", { id: lease });
    }
  });

  test("TTLs: raised to the least, bounded above", async () => {
    for (const ttl of [0, -5, 1, ttlSecondsMin]) {
      const granted = await client.call("grant", { ttl, id: freshId() });
      expect(granted.ttl, `asked for ${ttl}`).toBe(ttlSecondsMin);
    }
    const longest = 9_000_000_000;
    const { id, ttl } = await client.call("grant", { ttl: longest, id: freshId() });
    expect(ttl).toBe(longest);
    const { ttl: left } = await client.call("timeToLive", { id });
    expect(left).toBeGreaterThan(longest - 60);
    await client.call("revoke", { id });
    await expectRefused(
      client.call("grant", { ttl: longest + 1, id: freshId() }),
      status.OUT_OF_RANGE,
      "etcdserver: too large lease TTL",
    );
  });

  test("time to live, with the keys in order; of a lease that is not there -1", async () => {
    const prefix = freshPrefix("lease");
    const { id } = await client.call("grant", { ttl: 60, id: freshId() });
    for (const name of ["b", "a"]) {
      await client.call("put", { key: bytes(prefix + name), lease: id });
    }
    const told = await client.call("timeToLive", { id, keys: true });
    expect(told.id).toBe(id);
    expect(told.grantedTtl).toBe(60);
    expect(told.ttl).toBeGreaterThan(50);
    expect(told.ttl).toBeLessThanOrEqual(60);
    expect(told.keys.map(text)).toEqual([`${prefix}a`, `${prefix}b`]);
    expect((await client.call("timeToLive", { id })).keys).toEqual([]);
    await client.call("revoke", { id });
    const gone = await client.call("timeToLive", { id, keys: true });
    expect([gone.id, gone.ttl, gone.grantedTtl, gone.keys]).toEqual([id, -1, 0, []]);
  });

  test("revoking deletes its keys in one revision, in key order", async () => {
    const prefix = freshPrefix("lease");
    const { id } = await client.call("grant", { ttl: 60, id: freshId() });
    for (const name of ["c", "a", "b", "kept"]) {
      await client.call("put", { key: bytes(prefix + name), lease: id });
    }
    // A put without a lease takes the key off it.
    await client.call("put", { key: bytes(`${prefix}kept`) });
    using stream = client.watch();
    const value = WatchCreateRequest.create({ key: bytes(prefix), rangeEnd: prefixEnd(prefix) });
    stream.send({ requestUnion: { kind: "createRequest", value } });
    const created = await stream.next();
    const { header } = await client.call("revoke", { id });
    expect(header?.revision).toBe((created.header?.revision ?? 0) + 1);
    const { events } = await stream.next();
    expect(events.map(({ type, kv }) => [type, text(kv?.key), kv?.modRevision])).toEqual(
      ["a", "b", "c"].map((name) => [1, prefix + name, header?.revision]),
    );
    const range = { key: bytes(prefix), rangeEnd: prefixEnd(prefix) };
    expect((await client.call("range", range)).kvs.map((kv) => text(kv.key))).toEqual([
      `${prefix}kept`,
    ]);
    await expectRefused(
      client.call("revoke", { id }),
      status.NOT_FOUND,
      "etcdserver: requested lease not found",
    );
  });

  test("a key is on one lease, the last it was put with", async () => {
    const key = bytes(freshPrefix("lease"));
    const [first, second] = [freshId(), freshId()];
    for (const id of [first, second]) {
      await client.call("grant", { ttl: 60, id });
      await client.call("put", { key, lease: id });
    }
    expect((await client.call("timeToLive", { id: first, keys: true })).keys).toEqual([]);
    await client.call("revoke", { id: first });
    expect((await client.call("range", { key })).count).toBe(1);
    await client.call("revoke", { id: second });
    expect((await client.call("range", { key })).count).toBe(0);
  });

  test("all leases are listed", async () => {
    const ids = [freshId(), freshId()];
    for (const id of ids) {
      await client.call("grant", { ttl: 100, id });
    }
    const listed = (await client.call("leases")).leases.map((lease) => lease.id);
    expect(listed).toEqual(expect.arrayContaining(ids));
    for (const id of ids) {
      await client.call("revoke", { id });
    }
    const left = (await client.call("leases")).leases.map((lease) => lease.id);
    expect(left.filter((id) => ids.includes(id))).toEqual([]);
  });

  test("renewal: the granted TTL; 0 and no error for a lease that is not there", async () => {
    const { id } = await client.call("grant", { ttl: 60, id: freshId() });
    using stream = client.keepAlive();
    stream.send({ id });
    stream.send({ id: 0x7fff_ffffn });
    stream.send({ id });
    const replies = await stream.take(3);
    expect(replies.map((reply) => [reply.id, reply.ttl])).toEqual([
      [id, 60],
      [0x7fff_ffffn, 0],
      [id, 60],
    ]);
    expect(replies[0]?.header?.revision).toBeGreaterThan(0);
    stream.halfClose();
    expect(await stream.end()).toMatchObject({ code: status.OK });
    await client.call("revoke", { id });
  });

  test("many renewals on one stream are answered in their order", async () => {
    const ids = Array.from({ length: 50 }, () => freshId());
    await Promise.all(ids.map((id) => client.call("grant", { ttl: 60, id })));
    using stream = client.keepAlive();
    for (let round = 0; round < 10; round++) {
      for (const id of ids) {
        stream.send({ id });
      }
    }
    const seen = (await stream.take(500)).map((reply) => reply.id);
    expect(seen).toEqual(Array.from({ length: 10 }, () => ids).flat());
    await Promise.all(ids.map((id) => client.call("revoke", { id })));
  });

  test.concurrent("expiry deletes the keys on all members; renewal holds it off", async () => {
    const { client: own, endpoints } = target(role);
    const prefix = freshPrefix("expiry");
    const [dying, living] = [freshId(), freshId()];
    for (const id of [dying, living]) {
      await own.call("grant", { ttl: ttlSecondsMin, id });
      await own.call("put", { key: bytes(prefix + String(id)), lease: id });
    }
    using stream = own.keepAlive();
    const renewing = setInterval(() => stream.send({ id: living }), 500);
    try {
      const grantedMs = performance.now();
      const key = bytes(prefix + String(dying));
      await eventually(
        async () => (await own.call("range", { key })).count,
        (value) => expect(value).toBe(0),
        10_000,
      );
      // Not before its time, and not long after.
      const livedMs = performance.now() - grantedMs;
      expect(livedMs).toBeGreaterThan(ttlSecondsMin * 1_000 - 300);
      expect(livedMs).toBeLessThan(8_000);
      expect((await own.call("timeToLive", { id: dying })).ttl).toBe(-1);
      for (const endpoint of endpoints) {
        using other = new RawClient(endpoint);
        expect((await other.call("range", { key })).count).toBe(0);
        const kept = bytes(prefix + String(living));
        expect((await other.call("range", { key: kept })).count).toBe(1);
      }
    } finally {
      clearInterval(renewing);
    }
    await own.call("revoke", { id: living });
  });

  test("a lease is the same through every member", async () => {
    const { id } = await client.call("grant", { ttl: 60, id: freshId() });
    for (const endpoint of at.endpoints) {
      using other = new RawClient(endpoint);
      const { grantedTtl, ttl } = await other.call("timeToLive", { id });
      expect(grantedTtl).toBe(60);
      expect(ttl).toBeGreaterThan(50);
      using stream = other.keepAlive();
      stream.send({ id });
      expect((await stream.next()).ttl).toBe(60);
    }
    expect(await ttlOf(id)).toBeGreaterThanOrEqual(58);
    await client.call("revoke", { id });
  });
});
