// Replies spliced from stored bytes are those that the generated codecs would make.

import fc from "fast-check";
import { expect, test } from "vitest";
import { deleteRangeReply, rangeReply, txnReply } from "../../src/api/replies.ts";
import { concatBytes, toRevision } from "../../src/base/index.ts";
import type { StoredKeyValue, TxnResult } from "../../src/node/handle.ts";
import {
  DeleteRangeResponse,
  KeyValue,
  lengthPrefix,
  RangeResponse,
  revisionHeaderField,
  TxnResponse,
} from "../../src/wire/index.ts";
import type { ResponseOp } from "../../src/wire/index.ts";
import { messageArbitrary } from "../wire/messages.ts";

const counter = fc.oneof(fc.nat(300), fc.maxSafeNat());
const pair = messageArbitrary("mvccpb.KeyValue") as unknown as fc.Arbitrary<KeyValue>;

function stored(kv: KeyValue): StoredKeyValue {
  const message = KeyValue.encode(kv);
  return { field: concatBytes([lengthPrefix(2, message.length), message]), message };
}

function headerOf(revision: number): RangeResponse["header"] {
  return { clusterId: 0n, memberId: 0n, revision, raftTerm: 0 };
}

test("ranges and deletions", () => {
  fc.assert(
    fc.property(
      counter,
      fc.array(pair, { maxLength: 4 }),
      fc.boolean(),
      counter,
      (revision, kvs, more, count) => {
        const field = revisionHeaderField(revision);
        const header = headerOf(revision);
        const pairs = kvs.map(stored);
        expect(concatBytes(rangeReply(field, { kvs: pairs, more, count }))).toEqual(
          RangeResponse.encode({ header, kvs, more, count }),
        );
        expect(concatBytes(deleteRangeReply(field, count, pairs))).toEqual(
          DeleteRangeResponse.encode({ header, deleted: count, prevKvs: kvs }),
        );
      },
    ),
  );
});

test("transactions with responses of every kind, nested", () => {
  fc.assert(
    fc.property(pair, counter, fc.boolean(), (kv, number, succeeded) => {
      const revision = toRevision(number);
      const header = headerOf(number);
      const pairs = [stored(kv)];
      const inner: TxnResult = {
        kind: "txn",
        revision: 0,
        succeeded,
        responses: [
          { kind: "range", revision, range: { kvs: pairs, more: true, count: 3 } },
          { kind: "put", revision, previous: pairs[0] },
        ],
      };
      const outer: TxnResult = {
        kind: "txn",
        revision,
        succeeded: !succeeded,
        responses: [{ kind: "deleteRange", revision, deleted: 1, previous: pairs }, inner],
      };
      const range: ResponseOp = {
        response: { kind: "responseRange", value: { header, kvs: [kv], more: true, count: 3 } },
      };
      const put: ResponseOp = { response: { kind: "responsePut", value: { header, prevKv: kv } } };
      const deletion: ResponseOp = {
        response: { kind: "responseDeleteRange", value: { header, deleted: 1, prevKvs: [kv] } },
      };
      const value = { header: headerOf(0), succeeded, responses: [range, put] };
      const nested: ResponseOp = { response: { kind: "responseTxn", value } };
      expect(concatBytes(txnReply(revisionHeaderField(number), outer))).toEqual(
        TxnResponse.encode({ header, succeeded: !succeeded, responses: [deletion, nested] }),
      );
    }),
  );
});
