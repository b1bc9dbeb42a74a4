import { describe, expect, it } from "vitest";
import { type ErrorCode, QuorateError, txnDepthMax, utf8 } from "../../src/base/index.ts";
import {
  checkDeleteRange,
  checkPut,
  checkRange,
  checkTxn,
  isReadOnly,
  isSerializable,
} from "../../src/api/validate.ts";
import {
  Compare,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  type RequestOp,
  TxnRequest,
} from "../../src/wire/index.ts";

const put = (key: string): RequestOp => ({
  request: { kind: "requestPut", value: PutRequest.create({ key: utf8(key) }) },
});
const del = (key: string, rangeEnd = ""): RequestOp => ({
  request: {
    kind: "requestDeleteRange",
    value: DeleteRangeRequest.create({ key: utf8(key), rangeEnd: utf8(rangeEnd) }),
  },
});
const range = (key: string, serializable = false): RequestOp => ({
  request: {
    kind: "requestRange",
    value: RangeRequest.create({ key: utf8(key), serializable }),
  },
});
const txn = (success: RequestOp[], failure: RequestOp[] = []): RequestOp => ({
  request: { kind: "requestTxn", value: TxnRequest.create({ success, failure }) },
});

function codeOf(check: () => void): ErrorCode | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (error instanceof QuorateError) {
      return error.code;
    }
    throw error;
  }
}

const txnCode = (success: RequestOp[], failure: RequestOp[] = [], opsMax = 128) =>
  codeOf(() => checkTxn(TxnRequest.create({ success, failure }), opsMax));

describe("shapes", () => {
  it("refuses what etcd refuses", () => {
    expect(codeOf(() => checkRange(RangeRequest.create()))).toBe("emptyKey");
    const a = utf8("a");
    expect(codeOf(() => checkRange(RangeRequest.create({ key: a })))).toBeUndefined();
    for (const sort of [{ sortOrder: 3 }, { sortTarget: 5 }, { sortOrder: -1 }]) {
      const request = RangeRequest.create({ key: a, ...sort });
      expect(codeOf(() => checkRange(request))).toBe("invalidSortOption");
    }
    expect(codeOf(() => checkPut(PutRequest.create()))).toBe("emptyKey");
    const withValue = PutRequest.create({ key: a, value: a, ignoreValue: true });
    expect(codeOf(() => checkPut(withValue))).toBe("valueProvided");
    const withLease = PutRequest.create({ key: a, lease: 1n, ignoreLease: true });
    expect(codeOf(() => checkPut(withLease))).toBe("leaseProvided");
    expect(codeOf(() => checkDeleteRange(DeleteRangeRequest.create()))).toBe("emptyKey");
  });

  it("looks at every part of a transaction", () => {
    const compare = [Compare.create()];
    expect(codeOf(() => checkTxn(TxnRequest.create({ compare }), 128))).toBe("emptyKey");
    expect(txnCode([], [])).toBeUndefined();
    expect(txnCode([{ request: undefined }])).toBe("keyNotFound");
    expect(txnCode([], [put("")])).toBe("emptyKey");
    expect(txnCode([txn([], [txn([del("")])])])).toBe("emptyKey");
  });

  it("gives a nested transaction what its parent left of the budget", () => {
    const three = [put("a"), put("b"), put("c")];
    expect(txnCode(three, [], 3)).toBeUndefined();
    expect(txnCode(three, [], 2)).toBe("tooManyOps");
    expect(txnCode([], three, 2)).toBe("tooManyOps");
    expect(txnCode([txn(three)], [], 4)).toBeUndefined();
    expect(txnCode([txn(three)], [], 3)).toBe("tooManyOps");
    // The longest list of the parent counts, here the branch that is not nested.
    expect(txnCode([txn(three)], [range("x"), range("y")], 4)).toBe("tooManyOps");
  });

  it("bounds the depth", () => {
    const nested = (depth: number): RequestOp =>
      depth === 0 ? put("a") : txn([nested(depth - 1)]);
    expect(txnCode([nested(txnDepthMax)])).toBeUndefined();
    expect(txnCode([nested(txnDepthMax + 1)])).toBe("tooManyOps");
  });
});

describe("keys changed twice", () => {
  // Each case was tried on a live etcd 3.4.23 with the same outcome.
  const cases: readonly (readonly [string, RequestOp[], boolean])[] = [
    ["two puts", [put("a"), put("a")], true],
    ["puts of two keys", [put("a"), put("b")], false],
    ["delete and put", [del("b"), put("b")], true],
    ["put in a deleted range", [put("b"), del("a", "c")], true],
    ["put at the end of a deleted range", [put("c"), del("a", "c")], false],
    ["put under a delete to the end of all keys", [del("a", "\0"), put("b")], false],
    ["put beside a delete of everything", [del("\0", "\0"), put("b")], false],
    ["put beside an empty range", [del("c", "a"), put("b")], false],
    ["deletes that overlap", [del("a", "c"), del("b", "d")], false],
    ["put in the second of two ranges", [del("a", "b"), del("m", "p"), put("n")], true],
    ["the same key in both branches of a child", [txn([put("a")], [put("a")])], false],
    ["a key of a child and its parent", [txn([put("a")]), put("a")], true],
    ["a key of two children", [txn([put("a")]), txn([], [put("a")])], true],
    ["a child's put under the parent's delete", [txn([put("b")]), del("a", "c")], true],
    ["the parent's put under a child's delete", [txn([del("a", "c")]), put("b")], true],
    ["a put under an earlier child's delete", [txn([del("b")]), txn([put("b")])], true],
    ["a put under a later child's delete", [txn([put("b")]), txn([del("b")])], false],
    ["a grandchild's put under a delete", [txn([txn([put("b")])]), del("b")], true],
  ];
  it.each(cases)("%s", (_name, ops, duplicate) => {
    const expected = duplicate ? "duplicateKey" : undefined;
    expect(txnCode(ops)).toBe(expected);
    expect(txnCode([], ops)).toBe(expected);
  });

  it("lets the two branches of the whole transaction touch the same keys", () => {
    expect(txnCode([put("a")], [put("a"), del("b")])).toBeUndefined();
  });

  it("compares bytes, not text", () => {
    const key = (byte: number): RequestOp => ({
      request: { kind: "requestPut", value: PutRequest.create({ key: new Uint8Array([byte]) }) },
    });
    // Both are malformed UTF-8 and would be the same replacement character.
    expect(txnCode([key(0xff), key(0xfe)])).toBeUndefined();
    expect(txnCode([key(0xff), key(0xff)])).toBe("duplicateKey");
  });

  it("stays quick on a request made to be slow", () => {
    const children: RequestOp[] = [];
    for (let child = 0; child < 128; child++) {
      const ops: RequestOp[] = [];
      for (let i = 0; i < 800; i++) {
        const name = String(child * 800 + i).padStart(7, "0");
        ops.push(i % 2 === 0 ? del(`a${name}`, `a${name}x`) : put(`b${name}`));
      }
      children.push(txn(ops));
    }
    const started = performance.now();
    expect(txnCode(children, [], 1_000_000)).toBeUndefined();
    expect(performance.now() - started).toBeLessThan(3_000);
  });
});

describe("read-only transactions", () => {
  const request = (success: RequestOp[], failure: RequestOp[] = []) =>
    TxnRequest.create({ success, failure });

  it("are those whose operations all read, and none is nested", () => {
    expect(isReadOnly(request([range("a")], [range("b")]))).toBe(true);
    expect(isReadOnly(request([]))).toBe(true);
    expect(isReadOnly(request([range("a")], [put("b")]))).toBe(false);
    expect(isReadOnly(request([txn([range("a")])]))).toBe(false);
  });

  it("are serializable when every range is", () => {
    expect(isSerializable(request([range("a", true)], [range("b", true)]))).toBe(true);
    expect(isSerializable(request([range("a", true)], [range("b")]))).toBe(false);
  });
});
