// What any call may run into, whatever it asks: bytes that are no message, sizes, deadlines,
// cancellation, metadata, methods that are not there.

import { status } from "@grpc/grpc-js";
import { beforeEach, describe, expect, test } from "vitest";
import { LockRequest } from "../../src/wire/index.ts";
import { bytes, expectRefused, prefixEnd, type RawClient, text } from "./raw-client.ts";
import { eventually, freshPrefix, roles, useTargets } from "./targets.ts";

const target = useTargets();

describe.each(roles)("%s", (role) => {
  let client: RawClient;
  let prefix = "";
  beforeEach(() => {
    client = target(role).client;
    prefix = freshPrefix("limits");
  });

  test("bytes that are no message are INTERNAL, as from grpc-go, and the connection lives", async () => {
    // A length that goes past the end, a tag of field 0, a varint of 11 bytes.
    const malformed = [
      [0x0a, 0x05, 0x61],
      [0x00],
      [0x18, ...Array.from({ length: 11 }, () => 0xff)],
    ];
    for (const wrong of malformed) {
      for (const path of ["/etcdserverpb.KV/Range", "/etcdserverpb.KV/Put"]) {
        const error = (await client
          .bytes(path, Uint8Array.from(wrong))
          .catch((reason: unknown) => reason)) as { code: number; details: string };
        expect(error.code, `${path} ${wrong.join(" ")}`).toBe(status.INTERNAL);
        expect(error.details).toContain("grpc: error unmarshalling request");
      }
    }
    using watch = client.watch();
    watch.send(Uint8Array.from([0x0a, 0x05, 0x61]));
    expect((await watch.end()).code).toBe(status.INTERNAL);
    await client.call("put", { key: bytes(prefix) });
  });

  test("fields that are not known are passed over", async () => {
    // Field 1 = "limits...", then field 1000 = varint 7.
    const key = bytes(prefix);
    const request = Buffer.concat([
      Uint8Array.of(0x0a, key.length),
      key,
      Uint8Array.of(0xc0, 0x3e, 7),
    ]);
    await client.bytes("/etcdserverpb.KV/Put", request);
    expect((await client.call("range", { key })).count).toBe(1);
  });

  test("a request over 1.5 MiB is refused, one just below is not", async () => {
    const key = bytes(prefix);
    const fits = new Uint8Array(1_572_864 - 300);
    await client.call("put", { key, value: fits });
    await expectRefused(
      client.call("put", { key, value: new Uint8Array(1_572_864) }),
      status.INVALID_ARGUMENT,
      "etcdserver: request is too large",
    );
    // Beyond the limit on messages the transport itself refuses.
    const error = (await client
      .call("put", { key, value: new Uint8Array(3_000_000) })
      .catch((reason: unknown) => reason)) as { code: number; details: string };
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(error.details).toMatch(/^grpc: received message larger than max \(\d+ vs\. 2097152\)$/);
    const [kv] = (await client.call("range", { key })).kvs;
    expect([kv?.value.length, kv?.version]).toEqual([fits.length, 1]);
  });

  test("a reply may be of any size", async () => {
    const value = new Uint8Array(1_000_000).fill(7);
    await Promise.all(
      ["a", "b", "c", "d", "e"].map((name) =>
        client.call("put", { key: bytes(prefix + name), value }),
      ),
    );
    const reply = await client.call("range", { key: bytes(prefix), rangeEnd: prefixEnd(prefix) });
    expect(reply.kvs.map((kv) => kv.value.length)).toEqual([1, 1, 1, 1, 1].map(() => 1_000_000));
    await client.call("deleteRange", { key: bytes(prefix), rangeEnd: prefixEnd(prefix) });
  });

  test("a deadline ends a call that waits, and what waited leaves nothing", async () => {
    const name = bytes(`${prefix}lock`);
    const first = await client.call("lock", { name });
    await expectRefused(
      client.call("lock", { name }, { deadlineMs: 300 }),
      status.DEADLINE_EXCEEDED,
      expect.any(String) as unknown as string,
    );
    const range = { key: name, rangeEnd: prefixEnd(`${prefix}lock`) };
    await eventually(
      async () => (await client.call("range", range)).kvs.map((kv) => text(kv.key)),
      (value) => expect(value).toEqual([text(first.key)]),
    );
  });

  test("a cancelled call leaves nothing behind either", async () => {
    const name = bytes(`${prefix}lock`);
    const first = await client.call("lock", { name });
    const abort = new AbortController();
    const waiting = client.call("lock", { name }, { signal: abort.signal });
    const range = { key: name, rangeEnd: prefixEnd(`${prefix}lock`) };
    await eventually(
      async () => (await client.call("range", range)).count,
      (value) => expect(value).toBe(2),
    );
    abort.abort();
    await expect(waiting).rejects.toMatchObject({ code: status.CANCELLED });
    await eventually(
      async () => (await client.call("range", range)).kvs.map((kv) => text(kv.key)),
      (value) => expect(value).toEqual([text(first.key)]),
    );
  });

  test("metadata: hasleader and a token that nobody asked for do no harm", async () => {
    const metadata = { hasleader: "true", token: "none", "client-api-version": "3.6.0" };
    await client.call("put", { key: bytes(prefix) }, { metadata });
    using watch = client.watch({ metadata });
    watch.send({
      requestUnion: {
        kind: "createRequest",
        value: {
          key: bytes(prefix),
          rangeEnd: new Uint8Array(),
          startRevision: 0,
          progressNotify: false,
          filters: [],
          prevKv: false,
          watchId: 0n,
          fragment: false,
        },
      },
    });
    expect((await watch.next()).created).toBe(true);
  });

  test("methods and services that are not there are UNIMPLEMENTED", async () => {
    const paths: [string, string][] = [
      ["/etcdserverpb.KV/Nothing", "unknown method Nothing for service etcdserverpb.KV"],
      ["/etcdserverpb.None/Range", "unknown service etcdserverpb.None"],
    ];
    for (const [path, words] of paths) {
      await expectRefused(client.bytes(path, new Uint8Array()), status.UNIMPLEMENTED, words);
    }
  });

  test("a stream call with the wrong number of messages does no harm", async () => {
    using stream = client.stream("/v3lockpb.Lock/Unlock", LockRequest, LockRequest);
    stream.halfClose();
    expect((await stream.end()).code).not.toBe(status.OK);
    await client.call("put", { key: bytes(prefix) });
  });
});
