import { describe, expect, test } from "vitest";

import {
  concatBytes,
  CorruptionError,
  DecodeError,
  toClusterId,
  toLogIndex,
  toMemberId,
  toTerm,
  utf8,
} from "../../src/base/index.ts";
import { Alarms, alarmsKey, Applier, readTxn } from "../../src/apply/index.ts";
import { AuthStore } from "../../src/auth/index.ts";
import { Lessor } from "../../src/lease/index.ts";
import { Membership } from "../../src/membership/index.ts";
import {
  AlarmRequestAlarmAction,
  AlarmType,
  encodeCommand,
  PutRequest,
  RangeRequest,
  TxnRequest,
} from "../../src/wire/index.ts";
import { plain } from "./commands.ts";
import { ModelStore } from "./model-store.ts";

const envelope = { origin: 0xffff_ffff_ffff_fff0n, sequence: 77, user: "", authRevision: 0 };

function world(): { readonly store: ModelStore; readonly applier: Applier } {
  const store = new ModelStore();
  const membership = Membership.bootstrap(toClusterId(1n), []);
  const alarms = new Alarms();
  const parts = { store, lessor: new Lessor(), membership, alarms, auth: new AuthStore() };
  return { store, applier: new Applier(parts) };
}

function put(key: string, value: string): Uint8Array {
  const body = PutRequest.encode(PutRequest.create({ key: utf8(key), value: utf8(value) }));
  return encodeCommand("put", body, envelope);
}

test("an outcome names who waits for it", () => {
  const { origin, sequence, result } = world().applier.apply(
    toLogIndex(1),
    toTerm(1),
    put("k", "v"),
  );
  expect({ origin, sequence, kind: result.kind }).toEqual({
    origin: envelope.origin,
    sequence: 77,
    kind: "put",
  });
});

describe("what other members might execute stops this one", () => {
  const unknown = concatBytes([put("k", "v").subarray(0, 11), Uint8Array.of(0xa2, 0x06, 0)]);
  const cases: readonly [string, Uint8Array][] = [
    ["a command of an unknown kind", unknown],
    ["an envelope cut short", put("k", "v").subarray(0, 14)],
    ["a body that does not parse", encodeCommand("put", Uint8Array.of(0x0a, 9), envelope)],
    ["an empty entry", new Uint8Array(0)],
  ];
  test.each(cases)("%s", (_name, data) => {
    const { applier, store } = world();
    expect(() => applier.apply(toLogIndex(4), toTerm(1), data)).toThrow(CorruptionError);
    expect(() => applier.apply(toLogIndex(4), toTerm(1), data)).toThrow(/log entry 4/);
    expect(store.revision).toBe(1);
  });
});

test("a read-only txn is read as it is applied", () => {
  const { applier, store } = world();
  for (const [i, key] of ["a", "b", "a"].entries()) {
    applier.apply(toLogIndex(i + 1), toTerm(1), put(key, `${i}`));
  }
  const range = RangeRequest.create({ key: utf8("a"), rangeEnd: Uint8Array.of(0) });
  for (const [version, revision] of [
    [1, 0],
    [2, 3],
    [2, 9],
  ] as const) {
    const body = TxnRequest.encode({
      compare: [
        {
          result: 0,
          target: 0,
          key: utf8("a"),
          rangeEnd: new Uint8Array(0),
          targetUnion: { kind: "version", value: version },
        },
      ],
      success: [{ request: { kind: "requestRange", value: { ...range, revision } } }],
      failure: [{ request: { kind: "requestRange", value: { ...range, limit: 1 } } }],
    });
    const data = encodeCommand("txn", body, envelope);
    const { result } = applier.apply(toLogIndex(9), toTerm(1), data);
    expect(plain(readTxn(store, body))).toEqual(plain(result));
  }
  expect(() => readTxn(store, Uint8Array.of(0x0a, 9))).toThrow(DecodeError);
});

test("what a command will miss is told ahead, and nothing when all is there", () => {
  const { applier, store } = world();
  applier.apply(toLogIndex(1), toTerm(1), put("k", "v"));
  expect(applier.missing(put("k", "w"))).toEqual([]);
  store.cool(utf8("k"));
  expect(applier.missing(put("k", "w"))).toEqual([utf8("k")]);
  expect(applier.missing(put("other", "w"))).toEqual([]);
  expect(applier.missing(Uint8Array.of(0xff))).toEqual([]);
});

describe("alarm records", () => {
  test("keep what is raised, and are written only when that changed", () => {
    const alarms = new Alarms();
    expect(alarms.collectDirty()).toEqual([]);
    const raise = {
      action: AlarmRequestAlarmAction.ACTIVATE,
      memberId: 5n,
      alarm: AlarmType.CORRUPT,
    };
    alarms.change(raise);
    alarms.change({ ...raise, memberId: 2n ** 64n - 1n });
    alarms.change({ ...raise, alarm: AlarmType.NOSPACE });
    const [operation] = alarms.collectDirty();
    alarms.change(raise);
    expect(alarms.collectDirty()).toEqual([]);

    const value = operation?.kind === "put" ? operation.value : new Uint8Array(0);
    expect(operation?.key).toEqual(alarmsKey);
    const again = new Alarms();
    again.load(value);
    expect(again.list()).toEqual([
      { memberId: toMemberId(5n), kind: "noSpace" },
      { memberId: toMemberId(5n), kind: "corrupt" },
      { memberId: toMemberId(2n ** 64n - 1n), kind: "corrupt" },
    ]);
    expect(() => {
      new Alarms().load(value.subarray(0, value.length - 1));
    }).toThrow(CorruptionError);
    expect(() => {
      new Alarms().load(Uint8Array.of(0x0a, 2, 0x10, 9));
    }).toThrow(CorruptionError);
  });
});
