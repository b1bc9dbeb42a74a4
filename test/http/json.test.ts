import { describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/index.ts";
import { jsonToMessage, messageToJson, splitJson } from "../../src/http/json.ts";
import {
  HashKVResponse,
  messageDescriptors,
  RangeRequest,
  StatusResponse,
  TxnRequest,
  WatchCreateRequest,
} from "../../src/wire/index.ts";

describe("JSON to protobuf", () => {
  it("takes both spellings, numbers as text or not, enums by name or number", () => {
    const range = (json: unknown): RangeRequest =>
      RangeRequest.decode(jsonToMessage("etcdserverpb.RangeRequest", json));
    const expected = RangeRequest.create({
      key: utf8("a?>"),
      limit: 7,
      sortTarget: 3,
      keysOnly: true,
      minModRevision: -1,
    });
    expect(
      range({
        key: "YT8+",
        limit: "7",
        sort_target: "MOD",
        keys_only: true,
        min_mod_revision: "-1",
      }),
    ).toEqual(expected);
    expect(
      range({ key: "YT8-", limit: 7, sortTarget: 3, keysOnly: true, minModRevision: -1, nope: {} }),
    ).toEqual(expected);
    expect(range({ key: null })).toEqual(RangeRequest.create());
  });

  it("writes nested and repeated messages in order", () => {
    const json = {
      compare: [{ key: "YQ==", target: "VERSION", version: "0", result: "NOT_EQUAL" }],
      success: [
        { request_put: { key: "YQ==", lease: "-5" } },
        { requestTxn: { failure: [{ request_range: { key: "Yg==" } }] } },
      ],
    };
    const { compare, success } = TxnRequest.decode(jsonToMessage("etcdserverpb.TxnRequest", json));
    expect(compare).toMatchObject([
      { result: 3, target: 0, targetUnion: { kind: "version", value: 0 } },
    ]);
    expect(success).toMatchObject([
      { request: { kind: "requestPut", value: { key: utf8("a"), lease: -5n } } },
      { request: { kind: "requestTxn" } },
    ]);
    const filters = jsonToMessage("etcdserverpb.WatchCreateRequest", {
      filters: ["NODELETE", "NOPUT"],
    });
    expect(WatchCreateRequest.decode(filters).filters).toEqual([1, 0]);
  });

  it.each([
    [{ key: 5 }, "key must be base64"],
    [{ key: "!" }, "key must be base64"],
    [{ limit: 1.5 }, "limit must be a whole number"],
    [{ limit: "1e3" }, "limit must be a whole number"],
    [{ limit: "9223372036854775808" }, "limit is out of range"],
    [{ serializable: "yes" }, "serializable must be true or false"],
    [{ sort_order: "UP" }, "sort_order: no such value"],
    [[], "the request must be an object"],
  ])("refuses %j", (json, message) => {
    expect(() => jsonToMessage("etcdserverpb.RangeRequest", json)).toThrow(message);
  });

  it("is not led into endless nesting", () => {
    let json: object = {};
    for (let i = 0; i < 5_000; i++) {
      json = { success: [{ request_txn: json }] };
    }
    expect(() => jsonToMessage("etcdserverpb.TxnRequest", json)).toThrow("nested too deeply");
  });
});

describe("protobuf to JSON", () => {
  it("names fields as the protos do, leaves out zeros, and writes 64 bits as text", () => {
    const status = StatusResponse.create({
      header: { clusterId: 0xf000000000000000n, memberId: 1n, revision: 5, raftTerm: 0 },
      version: "3.6.7",
      dbSize: 20480,
      errors: ["one", "two"],
      downgradeInfo: { enabled: false, targetVersion: "" },
    });
    expect(messageToJson("etcdserverpb.StatusResponse", StatusResponse.encode(status))).toEqual({
      header: { cluster_id: "17293822569102704640", member_id: "1", revision: "5" },
      version: "3.6.7",
      dbSize: "20480",
      errors: ["one", "two"],
      downgradeInfo: {},
    });
    const hash = HashKVResponse.create({ hash: 4_000_000_000, compactRevision: -1 });
    expect(messageToJson("etcdserverpb.HashKVResponse", HashKVResponse.encode(hash))).toEqual({
      hash: 4_000_000_000,
      compact_revision: "-1",
    });
    expect(messageToJson("mvccpb.Event", new Uint8Array([0x08, 1]))).toEqual({ type: "DELETE" });
    expect(messageToJson("mvccpb.Event", new Uint8Array([0x08, 9]))).toEqual({ type: 9 });
  });

  it("reads every message that there is, empty", () => {
    const names = Object.keys(messageDescriptors);
    expect(names.length).toBeGreaterThan(100);
    for (const name of names) {
      expect(messageToJson(name, jsonToMessage(name, {}))).toEqual({});
    }
  });
});

describe("splitJson", () => {
  it("finds the texts that follow each other", () => {
    expect(splitJson("")).toEqual([]);
    expect(splitJson('{"a":{"b":"}{\\""}}\n{"c":[1]} ')).toHaveLength(2);
    expect(splitJson('{"a":1}{bad')).toEqual(['{"a":1}', "{bad"]);
  });
});
