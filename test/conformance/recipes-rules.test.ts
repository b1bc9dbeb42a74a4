// The Lock and Election services by their rules (etcd server/etcdserver/api/v3lock, v3election):
// who holds, who waits, what a name's keys look like, what is refused.

import { status } from "@grpc/grpc-js";
import { beforeEach, describe, expect, test } from "vitest";
import { bytes, expectRefused, prefixEnd, RawClient, text } from "./raw-client.ts";
import { eventually, freshPrefix, roles, type Target, useTargets } from "./targets.ts";

const target = useTargets();

describe.each(roles)("%s", (role) => {
  let client: RawClient;
  let at: Target;
  let name = "";
  beforeEach(() => {
    at = target(role);
    client = at.client;
    name = freshPrefix("name").slice(0, -1);
  });

  async function lease(): Promise<bigint> {
    return (await client.call("grant", { ttl: 60 })).id;
  }

  async function keysUnderName(): Promise<string[]> {
    const range = { key: bytes(`${name}/`), rangeEnd: prefixEnd(`${name}/`) };
    return (await client.call("range", range)).kvs.map((kv) => text(kv.key));
  }

  test("a lock's key is its name and its lease; the same lease gets the same key", async () => {
    const id = await lease();
    const first = await client.call("lock", { name: bytes(name), lease: id });
    expect(text(first.key)).toBe(`${name}/${id.toString(16)}`);
    const again = await client.call("lock", { name: bytes(name), lease: id });
    expect(text(again.key)).toBe(text(first.key));
    await client.call("unlock", { key: first.key });
    expect(await keysUnderName()).toEqual([]);
    // Unlocking what is not there is no error.
    await client.call("unlock", { key: first.key });
    await client.call("revoke", { id });
  });

  test("without a lease the server grants one of 60 seconds", async () => {
    const { key } = await client.call("lock", { name: bytes(name) });
    const id = BigInt(`0x${text(key).split("/").at(-1) ?? ""}`);
    expect((await client.call("timeToLive", { id })).grantedTtl).toBe(60);
    await client.call("revoke", { id });
    expect(await keysUnderName()).toEqual([]);
  });

  test("locks are taken in the order they were asked for, whichever member was asked", async () => {
    const order: number[] = [];
    const held = await client.call("lock", { name: bytes(name), lease: await lease() });
    const waiting: Promise<void>[] = [];
    const clients = at.endpoints.map((endpoint) => new RawClient(endpoint));
    for (let i = 0; i < 4; i++) {
      const other = clients[i % clients.length] ?? client;
      const turn = other.call("lock", { name: bytes(name), lease: await lease() });
      waiting.push(
        turn.then(async ({ key }) => {
          order.push(i);
          await other.call("unlock", { key });
        }),
      );
      // The next asks only once this one stands in the queue.
      await eventually(
        async () => (await keysUnderName()).length,
        (value) => expect(value).toBe(i + 2),
      );
    }
    expect(order).toEqual([]);
    await client.call("unlock", { key: held.key });
    await Promise.all(waiting);
    expect(order).toEqual([0, 1, 2, 3]);
    for (const other of clients) {
      other[Symbol.dispose]();
    }
  });

  test("a holder whose lease goes lets the next one in", async () => {
    const [first, second] = [await lease(), await lease()];
    await client.call("lock", { name: bytes(name), lease: first });
    const next = client.call("lock", { name: bytes(name), lease: second });
    await eventually(
      async () => (await keysUnderName()).length,
      (value) => expect(value).toBe(2),
    );
    await client.call("revoke", { id: first });
    expect(text((await next).key)).toBe(`${name}/${second.toString(16)}`);
  });

  test("campaign, proclaim, resign; observers hear each", async () => {
    using observer = client.observe(bytes(name));
    const [first, second] = [await lease(), await lease()];
    const won = await client.call("campaign", {
      name: bytes(name),
      lease: first,
      value: bytes("one"),
    });
    const leader = won.leader;
    expect(leader?.lease).toBe(first);
    expect(text(leader?.name)).toBe(name);
    expect(text(leader?.key)).toBe(`${name}/${first.toString(16)}`);
    expect(text((await observer.next()).kv?.value)).toBe("one");
    const waiting = client.call("campaign", {
      name: bytes(name),
      lease: second,
      value: bytes("two"),
    });
    await eventually(
      async () => (await keysUnderName()).length,
      (value) => expect(value).toBe(2),
    );
    await client.call("proclaim", { leader, value: bytes("one again") });
    expect(text((await observer.next()).kv?.value)).toBe("one again");
    const told = await client.call("electionLeader", { name: bytes(name) });
    expect(text(told.kv?.value)).toBe("one again");
    expect(told.kv?.createRevision).toBe(leader?.rev);
    await client.call("resign", { leader });
    const { leader: successor } = await waiting;
    expect(successor?.lease).toBe(second);
    expect(text((await observer.next()).kv?.value)).toBe("two");
    await expectRefused(
      client.call("proclaim", { leader, value: bytes("late") }),
      status.UNKNOWN,
      "election: not leader",
    );
    await client.call("resign", { leader: successor });
  });

  test("what is refused", async () => {
    const unknown = async (call: Promise<unknown>, words: string): Promise<void> =>
      expectRefused(call, status.UNKNOWN, words);
    const missing = '"leader" field must be provided';
    await unknown(client.call("electionLeader", { name: bytes(name) }), "election: no leader");
    await unknown(client.call("proclaim", { value: bytes("x") }), missing);
    await unknown(client.call("resign", {}), missing);
    // What its own client is answered with loses its code on the way out of etcd's server.
    await unknown(
      client.call("lock", { name: bytes(name), lease: 0x7fff_fff0n }),
      "etcdserver: requested lease not found",
    );
    expect(await keysUnderName()).toEqual([]);
  });
});
