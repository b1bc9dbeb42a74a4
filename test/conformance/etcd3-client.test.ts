// The npm client `etcd3`, as its users use it, against one node and three: pairs, namespaces,
// software transactions, leases, watches, locks, elections.

import { Etcd3, EtcdLockFailedError, type Watcher } from "etcd3";
import { beforeEach, describe, expect, test } from "vitest";
import { eventually, freshPrefix, roles, useTargets } from "./targets.ts";

const target = useTargets();

describe.each(roles)("%s", (role) => {
  let root: Etcd3;
  let client: ReturnType<Etcd3["namespace"]>;
  beforeEach(() => {
    root = new Etcd3({ hosts: target(role).endpoint });
    client = root.namespace(freshPrefix("etcd3"));
    return () => root.close();
  });

  test("pairs: values of every kind, ranges, deletes", async () => {
    await client.put("a").value("text");
    await client.put("b").value(Buffer.of(0, 255));
    await client.put("n").value(42);
    expect(await client.get("a").string()).toBe("text");
    expect(await client.get("b").buffer()).toEqual(Buffer.of(0, 255));
    expect(await client.get("n").number()).toBe(42);
    expect(await client.get("none").string()).toBeNull();
    expect(await client.get("a").exists()).toBe(true);
    await client.put("list/1").value("x");
    await client.put("list/2").value("y");
    expect(await client.getAll().prefix("list/").strings()).toEqual({
      "list/1": "x",
      "list/2": "y",
    });
    expect(await client.getAll().prefix("list/").keys()).toEqual(["list/1", "list/2"]);
    expect(await client.getAll().count()).toBe(5);
    expect(await client.getAll().sort("Key", "Descend").limit(1).keys()).toEqual(["n"]);
    const { kvs } = await client.getAll().inRange({ start: "a", end: "c" }).exec();
    expect(kvs.map((kv) => [kv.key.toString(), kv.version])).toEqual([
      ["a", "1"],
      ["b", "1"],
    ]);
    const touched = await client.put("a").value("new").getPrevious();
    expect(touched.value.toString()).toBe("text");
    const deleted = await client.delete().prefix("list/").exec();
    expect(deleted.deleted).toBe("2");
    const previous = await client.delete().key("a").getPrevious();
    expect(previous.map((kv) => kv.value.toString())).toEqual(["new"]);
    await client.delete().all();
    expect(await client.getAll().count()).toBe(0);
  });

  test("namespaces keep to themselves, down to their watches", async () => {
    const inner = client.namespace("inner/");
    await inner.put("k").value("in");
    await client.put("k").value("out");
    expect(await inner.get("k").string()).toBe("in");
    expect(await client.get("inner/k").string()).toBe("in");
    expect(await inner.getAll().keys()).toEqual(["k"]);
    await inner.delete().all();
    expect(await client.get("k").string()).toBe("out");
  });

  test("compares with a branch each way", async () => {
    const swap = (from: string, to: string) =>
      client
        .if("k", "Value", "==", from)
        .then(client.put("k").value(to))
        .else(client.get("k"))
        .commit();
    await client.put("k").value("1");
    expect((await swap("1", "2")).succeeded).toBe(true);
    const lost = await swap("1", "3");
    expect(lost.succeeded).toBe(false);
    expect(lost.responses[0]?.response_range?.kvs[0]?.value.toString()).toBe("2");
    const created = await client
      .if("new", "Create", "==", 0)
      .then(client.put("new").value("x"))
      .commit();
    expect(created.succeeded).toBe(true);
  });

  test("software transactions: no increment is lost", async () => {
    await client.put("counter").value(0);
    const increments = 12;
    await Promise.all(
      Array.from({ length: increments }, () =>
        client.stm({ retries: 100 }).transact(async (tx) => {
          const value = (await tx.get("counter").number()) ?? 0;
          await tx.put("counter").value(value + 1);
        }),
      ),
    );
    expect(await client.get("counter").number()).toBe(increments);
  });

  test.concurrent("leases: kept alive until released, then expired; revoked at once", async () => {
    const own = new Etcd3({ hosts: target(role).endpoint });
    const space = own.namespace(freshPrefix("etcd3"));
    const kept = space.lease(2);
    const revoked = space.lease(60);
    await kept.put("kept").value("x");
    await revoked.put("revoked").value("x");
    expect(await kept.grant()).toMatch(/^\d+$/);
    expect(Number((await kept.keepaliveOnce()).TTL)).toBe(2);
    await revoked.revoke();
    expect(await space.get("revoked").exists()).toBe(false);
    // Past its TTL it is still there.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(await space.get("kept").exists()).toBe(true);
    kept.release();
    await eventually(
      () => space.get("kept").exists(),
      (value) => expect(value).toBe(false),
      10_000,
    );
    own.close();
  });

  test("watches: puts and deletes, from the past too", async () => {
    const watcher = await client.watch().prefix("w/").withPreviousKV().create();
    const seen = record(watcher);
    const first = await client.put("w/a").value("1");
    await client.put("w/a").value("2");
    await client.put("other").value("x");
    await client.delete().key("w/a");
    const events = ["put w/a=1 was -", "put w/a=2 was 1", "delete w/a was 2"];
    await eventually(
      () => seen,
      (value) => expect(value).toEqual(events),
    );
    await watcher.cancel();
    const past = await client
      .watch()
      .prefix("w/")
      .startRevision(first.header.revision)
      .withPreviousKV()
      .create();
    const again = record(past);
    await eventually(
      () => again,
      (value) => expect(value).toEqual(events),
    );
    await past.cancel();
  });

  test("many watchers on one stream", async () => {
    const watchers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => client.watch().key(`k${i}`).create()),
    );
    const seen = watchers.map(record);
    await Promise.all(watchers.map((_, i) => client.put(`k${i}`).value(i)));
    await eventually(
      () => seen,
      (value) => expect(value).toEqual(watchers.map((_, i) => [`put k${i}=${i} was -`])),
    );
    await Promise.all(watchers.map((watcher) => watcher.cancel()));
  });

  test("locks: one holder at a time", async () => {
    const held = await client.lock("mutex").ttl(10).acquire();
    await expect(client.lock("mutex").acquire()).rejects.toBeInstanceOf(EtcdLockFailedError);
    await held.release();
    const value = await client.lock("mutex").do(() => "done");
    expect(value).toBe("done");
    await client.lock("mutex").do(() => undefined);
  });

  test("elections: one leader, observed, followed by the next", async () => {
    const election = client.election("chief", 10);
    const observer = await election.observe();
    const first = election.campaign("one");
    await first.wait();
    await eventually(
      () => observer.leader(),
      (value) => expect(value).toBe("one"),
    );
    const second = election.campaign("two");
    let elected = false;
    second.on("elected", () => {
      elected = true;
    });
    await second.getCampaignKey();
    expect(await election.leader()).toBe("one");
    await first.proclaim("one again");
    await eventually(
      () => observer.leader(),
      (value) => expect(value).toBe("one again"),
    );
    expect(elected).toBe(false);
    await first.resign();
    await eventually(
      () => elected,
      (value) => expect(value).toBe(true),
    );
    await eventually(
      () => observer.leader(),
      (value) => expect(value).toBe("two"),
    );
    await observer.cancel();
    await second.resign();
  });

  test("errors come with etcd's words", async () => {
    await expect(client.put("k").value("x").lease("7777777").exec()).rejects.toThrow(
      "requested lease not found",
    );
    await expect(
      client
        .get("k")
        .revision(2 ** 40)
        .exec(),
    ).rejects.toThrow("required revision is a future revision");
  });

  test("what an operator asks", async () => {
    const status = await root.maintenance.status();
    expect(status.version).toMatch(/^3\.6\./);
    const { members } = await root.cluster.memberList({});
    expect(members).toHaveLength(target(role).size);
  });
});

/** What a watcher hears, as text. */
function record(watcher: Watcher): string[] {
  const seen: string[] = [];
  watcher.on("put", (kv, previous) => {
    const was = previous?.value.toString() ?? "-";
    seen.push(`put ${kv.key.toString()}=${kv.value.toString()} was ${was}`);
  });
  watcher.on("delete", (kv, previous) => {
    seen.push(`delete ${kv.key.toString()} was ${previous?.value.toString() ?? "-"}`);
  });
  return seen;
}
