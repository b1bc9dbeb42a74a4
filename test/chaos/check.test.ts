// The checker must see what it is there for: a small true history passes, and every way of
// falsifying it is found.

import { expect, test } from "vitest";
import { utf8 } from "../../src/base/index.ts";
import { PutRequest, RangeRequest, WatchResponse } from "../../src/wire/index.ts";
import { checkHistory, checkSameEvents } from "./check.ts";
import { History } from "./history.ts";
import type { EventLog } from "./watchers.ts";
import { WatchLog } from "./watchers.ts";

interface Told {
  readonly history: History;
  readonly truth: EventLog;
}

/** a=1 at revision 2, a=2 at 3 unanswered, a read of it at 3, a=3 at 4; then `falsify`. */
function told(falsify: (told: Told) => void = () => undefined): () => void {
  const history = new History();
  const put = (value: string): Parameters<History["answered"]>[0] => {
    const request = PutRequest.create({ key: utf8("a"), value: utf8(value) });
    const body = PutRequest.encode(request);
    return history.begin({ member: "node1", kind: "put", body, range: undefined });
  };
  history.answered(put("1"), 2, "put r2 prev=-", true);
  put("2");
  const range = RangeRequest.create({ key: utf8("a") });
  const read = history.begin({ member: "node2", kind: "read", body: undefined, range });
  history.answered(read, 3, "a=2@2.3.2.0 more=false count=1", false);
  history.answered(put("3"), 4, "put r4 prev=-", true);
  const truth: EventLog = new Map([
    [2, ["put a=1@2.2.1.0 prev=-"]],
    [3, ["put a=2@2.3.2.0 prev=a=1@2.2.1.0"]],
    [4, ["put a=3@2.4.3.0 prev=a=2@2.3.2.0"]],
  ]);
  falsify({ history, truth });
  return () => checkHistory(history, truth, Math.max(...truth.keys()));
}

test("a true history passes", () => {
  expect(told()).not.toThrow();
});

test.each<readonly [string, RegExp, (told: Told) => void]>([
  ["a lost write", /is gone/, ({ truth }) => truth.delete(4)],
  ["a gap", /no events/, ({ truth }) => truth.delete(3)],
  [
    "a write of nobody",
    /written by nobody/,
    ({ truth }) => truth.set(3, ["put a=9@2.3.2.0 prev=a=1@2.2.1.0"]),
  ],
  [
    "a write applied twice",
    /applied twice/,
    ({ truth }) => truth.set(5, ["put a=2@2.5.4.0 prev=a=3@2.4.3.0"]),
  ],
  [
    "another write in the place of an acknowledged one",
    /model says/,
    ({ truth }) => truth.set(4, ["put a=2@2.4.3.0 prev=a=2@2.3.2.0"]),
  ],
  [
    "a stale read",
    /stale/,
    ({ history }) => {
      const [, , read] = history.operations;
      Object.assign(read ?? {}, {
        revision: 2,
        answer: "a=1@2.2.1.0 more=false count=1",
        knownRevision: 3,
      });
    },
  ],
  [
    "a wrong answer",
    /model says/,
    ({ history }) => Object.assign(history.operations[2] ?? {}, { answer: " more=false count=0" }),
  ],
])("%s is found", (_name, message, falsify) => {
  expect(told(falsify)).toThrow(message);
});

test("events that differ, repeat or come late are found", () => {
  const truth: EventLog = new Map([[2, ["put"]]]);
  expect(() => checkSameEvents(truth, new Map(), 2, "someone")).toThrow(/someone shows/);
  const log = new WatchLog("w", undefined);
  const at = (revision: number): WatchResponse =>
    WatchResponse.create({
      header: { clusterId: 0n, memberId: 0n, revision: 9, raftTerm: 1 },
      events: [
        {
          type: 0,
          kv: {
            key: utf8("k"),
            value: utf8("v"),
            createRevision: revision,
            modRevision: revision,
            version: 1,
            lease: 0n,
          },
          prevKv: undefined,
        },
      ],
    });
  log.take(at(4));
  expect(() => log.take(at(4))).toThrow(/after one of 4/);
  expect(() => log.take(at(3))).toThrow(/after one of 4/);
  log.take(
    WatchResponse.create({ header: { clusterId: 0n, memberId: 0n, revision: 7, raftTerm: 1 } }),
  );
  expect(() => log.take(at(6))).toThrow(/after progress to 7/);
});
