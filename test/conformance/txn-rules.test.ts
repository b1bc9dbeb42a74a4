// Transactions by their rules: every compare, ranges and missing keys in compares, one revision for
// all, reading what was just written, nesting, limits, keys changed twice.

import { status } from "@grpc/grpc-js";
import { beforeEach, describe, expect, test } from "vitest";
import {
  type Compare,
  CompareResult as Is,
  CompareTarget as Of,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  type RequestOp,
  type TxnRequest,
} from "../../src/wire/index.ts";
import { bytes, expectRefused, prefixEnd, type RawClient, text } from "./raw-client.ts";
import { freshPrefix, roles, useTargets } from "./targets.ts";

const target = useTargets();

type Union = Compare["targetUnion"];

function compare(key: string, of: number, is: number, union: Union, rangeEnd?: string): Compare {
  return {
    key: bytes(key),
    target: of,
    result: is,
    targetUnion: union,
    rangeEnd: bytes(rangeEnd ?? ""),
  };
}

function put(key: string, value = "", more: Partial<PutRequest> = {}): RequestOp {
  const request = PutRequest.create({ key: bytes(key), value: bytes(value), ...more });
  return { request: { kind: "requestPut", value: request } };
}

function get(key: string, more: Partial<RangeRequest> = {}): RequestOp {
  const request = RangeRequest.create({ key: bytes(key), ...more });
  return { request: { kind: "requestRange", value: request } };
}

function del(key: string, more: Partial<DeleteRangeRequest> = {}): RequestOp {
  const request = DeleteRangeRequest.create({ key: bytes(key), ...more });
  return { request: { kind: "requestDeleteRange", value: request } };
}

function nested(request: Partial<TxnRequest>): RequestOp {
  const value = { compare: [], success: [], failure: [], ...request };
  return { request: { kind: "requestTxn", value } };
}

describe.each(roles)("%s", (role) => {
  let client: RawClient;
  let prefix = "";
  beforeEach(() => {
    client = target(role).client;
    prefix = freshPrefix("txn");
  });

  async function holds(...compares: Compare[]): Promise<boolean> {
    return (await client.call("txn", { compare: compares })).succeeded;
  }

  async function refused(request: Partial<TxnRequest>, words: string): Promise<void> {
    const call = client.call("txn", request);
    await expectRefused(call, status.INVALID_ARGUMENT, `etcdserver: ${words}`);
  }

  test("an empty one succeeds and has no responses", async () => {
    const reply = await client.call("txn", {});
    expect([reply.succeeded, reply.responses]).toEqual([true, []]);
  });

  test("every target with every result", async () => {
    const key = `${prefix}k`;
    const { id } = await client.call("grant", { ttl: 60 });
    const created = await client.call("put", { key: bytes(key), value: bytes("m") });
    const changed = await client.call("put", { key: bytes(key), value: bytes("m"), lease: id });
    const create = created.header?.revision ?? 0;
    const mod = changed.header?.revision ?? 0;
    const number = (kind: "version" | "createRevision" | "modRevision", base: number) =>
      [-1, 0, 1].map((delta): Union => ({ kind, value: base + delta }));
    const cases: [number, Union[]][] = [
      [Of.VERSION, number("version", 2)],
      [Of.CREATE, number("createRevision", create)],
      [Of.MOD, number("modRevision", mod)],
      [Of.VALUE, ["l", "m", "n"].map((value): Union => ({ kind: "value", value: bytes(value) }))],
      [Of.LEASE, [-1n, 0n, 1n].map((delta): Union => ({ kind: "lease", value: id + delta }))],
    ];
    for (const [of, [below, same, above]] of cases) {
      const outcomes = await Promise.all(
        [below, same, above].map(async (union) => ({
          equal: await holds(compare(key, of, Is.EQUAL, union)),
          notEqual: await holds(compare(key, of, Is.NOT_EQUAL, union)),
          greater: await holds(compare(key, of, Is.GREATER, union)),
          less: await holds(compare(key, of, Is.LESS, union)),
        })),
      );
      expect(outcomes, `target ${of}`).toEqual([
        { equal: false, notEqual: true, greater: true, less: false },
        { equal: true, notEqual: false, greater: false, less: false },
        { equal: false, notEqual: true, greater: false, less: true },
      ]);
    }
    await client.call("revoke", { id });
  });

  test("a missing key is 0 in numbers; as a value it compares with nothing", async () => {
    const key = `${prefix}none`;
    expect(await holds(compare(key, Of.VERSION, Is.EQUAL, { kind: "version", value: 0 }))).toBe(
      true,
    );
    // The same with nothing to compare with: 0.
    expect(await holds(compare(key, Of.CREATE, Is.EQUAL, undefined))).toBe(true);
    expect(await holds(compare(key, Of.MOD, Is.LESS, { kind: "modRevision", value: 1 }))).toBe(
      true,
    );
    expect(await holds(compare(key, Of.LEASE, Is.EQUAL, { kind: "lease", value: 0n }))).toBe(true);
    for (const is of Object.values(Is)) {
      const union: Union = { kind: "value", value: bytes("") };
      expect(await holds(compare(key, Of.VALUE, is, union))).toBe(false);
    }
  });

  test("a range in a compare: all its keys, or as a missing key when it is empty", async () => {
    await client.call("put", { key: bytes(`${prefix}a`), value: bytes("x") });
    await client.call("put", { key: bytes(`${prefix}b`), value: bytes("x") });
    const end = text(prefixEnd(prefix));
    const value = (is: number, word: string): Compare =>
      compare(prefix, Of.VALUE, is, { kind: "value", value: bytes(word) }, end);
    expect(await holds(value(Is.EQUAL, "x"))).toBe(true);
    await client.call("put", { key: bytes(`${prefix}b`), value: bytes("y") });
    expect(await holds(value(Is.EQUAL, "x"))).toBe(false);
    expect(await holds(value(Is.LESS, "z"))).toBe(true);
    const none = `${prefix}none`;
    const version = { kind: "version", value: 0 } as const;
    expect(await holds(compare(none, Of.VERSION, Is.EQUAL, version, `${none}~`))).toBe(true);
    expect(await holds(compare(none, Of.VALUE, Is.NOT_EQUAL, undefined, `${none}~`))).toBe(false);
  });

  test("all compares must hold; the other branch runs when one does not", async () => {
    const key = `${prefix}k`;
    const missing = compare(key, Of.VERSION, Is.EQUAL, { kind: "version", value: 0 });
    const present = compare(key, Of.VERSION, Is.GREATER, { kind: "version", value: 0 });
    const request = { success: [put(key, "then")], failure: [put(key, "else"), get(key)] };
    const reply = await client.call("txn", { compare: [missing, present], ...request });
    expect(reply.succeeded).toBe(false);
    expect(reply.responses.map((op) => op.response?.kind)).toEqual([
      "responsePut",
      "responseRange",
    ]);
    expect(text((await client.call("range", { key: bytes(key) })).kvs[0]?.value)).toBe("else");
  });

  test("one revision for all; later operations see earlier ones", async () => {
    const before = await client.call("put", { key: bytes(`${prefix}a`), value: bytes("old") });
    const reply = await client.call("txn", {
      success: [
        put(`${prefix}b`, "1"),
        get(`${prefix}b`),
        del(`${prefix}a`, { prevKv: true }),
        get(prefix, { rangeEnd: prefixEnd(prefix) }),
      ],
    });
    const revision = (before.header?.revision ?? 0) + 1;
    expect(reply.header?.revision).toBe(revision);
    const [putOp, getOp, delOp, allOp] = reply.responses.map((op) => op.response);
    // Headers inside hold the revision alone.
    expect(putOp?.value.header).toEqual({
      clusterId: 0n,
      memberId: 0n,
      revision,
      raftTerm: 0,
    });
    expect(getOp?.kind === "responseRange" && getOp.value.kvs.map((kv) => kv.modRevision)).toEqual([
      revision,
    ]);
    expect(delOp?.kind === "responseDeleteRange" && text(delOp.value.prevKvs[0]?.value)).toBe(
      "old",
    );
    expect(allOp?.kind === "responseRange" && allOp.value.count).toBe(1);
  });

  test("a failing operation undoes all", async () => {
    const before = await client.call("put", { key: bytes(`${prefix}a`) });
    const first = put(`${prefix}b`);
    await expectRefused(
      client.call("txn", { success: [first, put(`${prefix}c`, "", { lease: 12345n })] }),
      status.NOT_FOUND,
      "etcdserver: requested lease not found",
    );
    await refused(
      { success: [first, put(`${prefix}c`, "", { ignoreValue: true })] },
      "key not found",
    );
    await expectRefused(
      client.call("txn", { success: [first, get(prefix, { revision: 2 ** 40 })] }),
      status.OUT_OF_RANGE,
      "etcdserver: mvcc: required revision is a future revision",
    );
    const { count, header } = await client.call("range", {
      key: bytes(prefix),
      rangeEnd: prefixEnd(prefix),
    });
    expect([count, header?.revision]).toEqual([1, before.header?.revision]);
  });

  test("only the chosen branch has to be possible", async () => {
    const impossible = put(`${prefix}c`, "", { lease: 12345n });
    const reply = await client.call("txn", { success: [get(prefix)], failure: [impossible] });
    expect(reply.succeeded).toBe(true);
  });

  test("nested: compares look at what was there before it all, ranges at what was just put", async () => {
    const key = `${prefix}k`;
    await client.call("put", { key: bytes(key), value: bytes("0") });
    const is = (value: string): Compare =>
      compare(key, Of.VALUE, Is.EQUAL, { kind: "value", value: bytes(value) });
    const reply = await client.call("txn", {
      success: [
        put(key, "1"),
        nested({ compare: [is("0")], success: [put(`${key}2`, "inner"), get(key)] }),
        nested({ compare: [is("1")], success: [put(`${key}3`)], failure: [nested({})] }),
      ],
    });
    const [, second, third] = reply.responses.map((op) => op.response);
    const inner = second?.kind === "responseTxn" ? second.value : undefined;
    expect([inner?.succeeded, inner?.responses.length]).toEqual([true, 2]);
    const seen = inner?.responses[1]?.response;
    expect(seen?.kind === "responseRange" && text(seen.value.kvs[0]?.value)).toBe("1");
    expect(third?.kind === "responseTxn" && third.value.succeeded).toBe(false);
    const all = await client.call("range", { key: bytes(prefix), rangeEnd: prefixEnd(prefix) });
    expect(all.kvs.map((kv) => [text(kv.key), kv.modRevision])).toEqual([
      [key, reply.header?.revision],
      [`${key}2`, reply.header?.revision],
    ]);
  });

  test("128 operations at most, nested ones within what their parent left", async () => {
    const gets = (count: number): RequestOp[] => Array.from({ length: count }, () => get(prefix));
    const compares = (count: number): Compare[] =>
      Array.from({ length: count }, () => compare(prefix, Of.VERSION, Is.EQUAL, undefined));
    const { responses } = await client.call("txn", { success: gets(128), compare: compares(128) });
    expect(responses).toHaveLength(128);
    const tooMany = "too many operations in txn request";
    await refused({ success: gets(129) }, tooMany);
    await refused({ failure: gets(129) }, tooMany);
    await refused({ compare: compares(129) }, tooMany);
    await client.call("txn", { success: [nested({ success: gets(127) })] });
    await refused({ success: [nested({ success: gets(128) })] }, tooMany);
  });

  test("what is refused by its shape", async () => {
    const key = `${prefix}k`;
    const duplicate = "duplicate key given in txn request";
    const end = prefixEnd(prefix);
    await refused({ success: [put("")] }, "key is not provided");
    await refused({ failure: [get("")] }, "key is not provided");
    await refused({ compare: [compare("", Of.MOD, Is.EQUAL, undefined)] }, "key is not provided");
    await refused({ success: [{ request: undefined }] }, "key not found");
    await refused({ success: [get(key, { sortOrder: 9 })] }, "invalid sort option");
    await refused({ success: [put(key), put(key)] }, duplicate);
    await refused({ failure: [put(key), del(prefix, { rangeEnd: end })] }, duplicate);
    await refused({ success: [del(key), put(key)] }, duplicate);
    await refused({ success: [put(key), nested({ failure: [put(key)] })] }, duplicate);
    await refused({ success: [nested({ success: [put(key)] }), del(key)] }, duplicate);
    await refused(
      { success: [nested({ success: [put(key)] }), nested({ failure: [put(key)] })] },
      duplicate,
    );
  });

  test("what looks doubled and is allowed", async () => {
    const key = `${prefix}k`;
    await client.call("txn", { success: [put(key)], failure: [put(key)] });
    await client.call("txn", {
      success: [nested({ success: [put(key)], failure: [put(key)] })],
    });
    const end = prefixEnd(prefix);
    await client.call("txn", { success: [del(key), del(prefix, { rangeEnd: end })] });
  });

  test("only reading: no revision used, the past can be read", async () => {
    const first = await client.call("put", { key: bytes(`${prefix}k`), value: bytes("1") });
    const last = await client.call("put", { key: bytes(`${prefix}k`), value: bytes("2") });
    const revision = first.header?.revision ?? 0;
    const serializable = { serializable: true };
    for (const more of [{}, serializable]) {
      const reply = await client.call("txn", {
        success: [get(`${prefix}k`, { revision, ...more }), get(`${prefix}k`, more)],
      });
      expect(reply.header?.revision).toBe(last.header?.revision);
      const values = reply.responses.map(({ response }) =>
        response?.kind === "responseRange" ? text(response.value.kvs[0]?.value) : "",
      );
      expect(values).toEqual(["1", "2"]);
    }
  });

  test("two that compare with the same past: one wins", async () => {
    const key = `${prefix}counter`;
    const { endpoints } = target(role);
    const absent = compare(key, Of.CREATE, Is.EQUAL, { kind: "createRevision", value: 0 });
    const replies = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        client.call("txn", { compare: [absent], success: [put(key, String(i))] }),
      ),
    );
    expect(replies.filter((reply) => reply.succeeded)).toHaveLength(1);
    expect(endpoints.length).toBe(target(role).size);
  });
});
