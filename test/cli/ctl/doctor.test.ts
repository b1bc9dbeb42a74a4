// What doctor says of each thing that can be wrong, from facts; and of real clusters.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ClusterFacts, findingsOf } from "../../../src/cli/ctl/doctor-checks.ts";
import type { MemberReading } from "../../../src/cli/ctl/cluster-facts.ts";
import { Metrics } from "../../../src/cli/ctl/metrics-text.ts";
import { AlarmType, ResponseHeader, StatusResponse } from "../../../src/wire/index.ts";
import { control, printed } from "../../support/control.ts";
import { ClusterProcesses } from "../../support/processes.ts";
import { eventually } from "../../conformance/targets.ts";

const day = 86_400_000;

interface Draft {
  readonly away?: string;
  readonly isLearner?: boolean;
  readonly applied?: number;
  readonly leader?: bigint;
  readonly version?: string;
  readonly metrics?: string;
  readonly clockOffsetMs?: number;
  readonly clientUrl?: string;
  readonly dbSize?: number;
  readonly started?: boolean;
}

function reading(id: number, draft: Draft = {}): MemberReading {
  const { away, isLearner = false, applied = 1_000, leader = 1n, started = true } = draft;
  const clientUrl = draft.clientUrl ?? `http://127.0.0.1:${2_378 + id}`;
  const header = ResponseHeader.create({ memberId: BigInt(id), revision: 42, clusterId: 9n });
  const status = StatusResponse.create({
    header,
    leader,
    isLearner,
    version: draft.version ?? "3.6.0",
    raftIndex: 1_000,
    raftAppliedIndex: applied,
    dbSize: draft.dbSize ?? 1_000,
    dbSizeInUse: 900,
  });
  return {
    member: {
      id: BigInt(id),
      name: started ? `m${id}` : "",
      isLearner,
      peerUrls: [`http://127.0.0.1:${2_480 + id}`],
      clientUrls: started ? [clientUrl] : [],
      endpoint: started ? clientUrl : "",
    },
    atMs: 1,
    status: away === undefined && started ? status : undefined,
    failure: away ?? "",
    tookMs: 1,
    metrics: draft.metrics === undefined ? undefined : new Metrics(draft.metrics),
    clockOffsetMs: draft.clockOffsetMs,
  };
}

function say(drafts: readonly Draft[], others: Partial<ClusterFacts> = {}): string[] {
  const after = drafts.map((draft, at) => reading(at + 1, draft));
  const facts: ClusterFacts = {
    before: after,
    after,
    alarms: [],
    authEnabled: true,
    hashes: [],
    hashRevision: 42,
    certificates: [],
    nowMs: Date.UTC(2026, 0, 1),
    ...others,
  };
  const found = findingsOf(facts);
  for (const { cause, mend, severity } of found) {
    expect(cause).not.toBe("");
    expect(severity === "note" || mend.length > 0).toBe(true);
  }
  return found.map(({ severity, what }) => `${severity}: ${what}`);
}

const well: Draft[] = [{}, {}, {}];
const unsafe = { clientUrl: "http://10.0.0.1:2379" };
const slow = [1, 2, 3].map((n) => `etcd_disk_wal_fsync_duration_seconds_bucket{le="0.0${n}"} 0`);

const cases: [string, Draft[], Partial<ClusterFacts>, RegExp][] = [
  [
    "a member away",
    [{}, {}, { away: "connect ECONNREFUSED" }],
    {},
    /^problem: m3 .*does not answer/,
  ],
  ["no spare", [{}, {}, { away: "x" }], {}, /^warning: no further member may fail: 2 of 3/m],
  ["never started", [{}, {}, { started: false }], {}, /^warning: member 3 .*has never started/],
  [
    "no majority",
    [{ leader: 0n }, { away: "x" }, { away: "x" }],
    {},
    /^problem: there is no leader: 1 of 3 voters are up, 2 are needed/m,
  ],
  [
    "no leader",
    [{ leader: 0n }, { leader: 0n }, { leader: 0n }],
    {},
    /^problem: there is no leader, though a majority is up/,
  ],
  ["two leaders", [{}, { leader: 2n }, {}], {}, /^problem: the members name 2 leaders: 1, 2/],
  ["lag", [{}, { applied: -5_000 }, {}], {}, /^warning: m2 is 6000 entries behind/],
  ["a learner left", [...well, { isLearner: true }], {}, /^warning: m4 is still a learner/],
  [
    "NOSPACE",
    well,
    { alarms: [{ memberId: 2n, alarm: AlarmType.NOSPACE }] },
    /^problem: m2 has raised NOSPACE/,
  ],
  [
    "CORRUPT",
    well,
    { alarms: [{ memberId: 3n, alarm: AlarmType.CORRUPT }] },
    /^problem: m3 has raised CORRUPT/,
  ],
  ["versions", [{}, {}, { version: "3.5.0" }], {}, /^warning: .*different versions.*m3 3\.5\.0/],
  [
    "hashes",
    well,
    {
      hashes: ["m1", "m2", "m3"].map((name, at) => ({
        name,
        hash: at === 1 ? 8 : 7,
        compactRevision: 3,
      })),
    },
    /^problem: the data of m2 differs from m1, m3 at revision 42/,
  ],
  [
    "expired",
    well,
    { certificates: [{ url: "https://a:1", validToMs: Date.UTC(2025, 11, 31) }] },
    /^problem: the certificate of https:\/\/a:1 has expired on 2025-12-31/,
  ],
  [
    "expires soon",
    well,
    { certificates: [{ url: "https://a:1", validToMs: Date.UTC(2026, 0, 1) + 9 * day }] },
    /^warning: the certificate of https:\/\/a:1 expires in 9 days/,
  ],
  [
    "open",
    [unsafe, {}, {}],
    { authEnabled: false },
    /^warning: authentication is off, .*10\.0\.0\.1/,
  ],
  ["plain", [unsafe, {}, {}], {}, /^note: clients are served without TLS at http:\/\/10\.0\.0\.1/],
  [
    "quota",
    [{ dbSize: 900, metrics: "etcd_server_quota_backend_bytes 1000" }, {}, {}],
    {},
    /^warning: the store of m1 takes 90% of its quota/,
  ],
  ["clock", [{ clockOffsetMs: -9_000 }, {}, {}], {}, /^warning: the clock of m1 is 9\.0 s behind/],
  [
    "disk",
    [
      {
        metrics: [
          ...slow,
          'etcd_disk_wal_fsync_duration_seconds_bucket{le="0.1"} 5',
          'etcd_disk_wal_fsync_duration_seconds_bucket{le="+Inf"} 5',
        ].join("\n"),
      },
      {},
      {},
    ],
    {},
    /^warning: the disk of m1 is slow: 1% of log writes take over \d+ ms/,
  ],
  [
    "elections",
    [{ metrics: "etcd_server_leader_changes_seen_total 50" }, {}, {}],
    {},
    /^warning: m1 has seen 50 changes of leader/,
  ],
  [
    "event loop",
    [{ metrics: "nodejs_eventloop_lag_p99_seconds 0.5" }, {}, {}],
    {},
    /^warning: m1 is held up: its event loop waits 500 ms/,
  ],
  [
    "files",
    [{ metrics: "process_open_fds 90\nprocess_max_fds 100" }, {}, {}],
    {},
    /^warning: m1 has 90 of 100 files open/,
  ],
  ["two voters", [{}, {}], {}, /^note: there are 2 voters/],
  ["one voter", [{}], {}, /^note: there is one voter/],
];

describe("from facts", () => {
  test("a cluster that is well gets no word", () => {
    expect(say(well)).toEqual([]);
    expect(say(well, { hashes: [{ name: "m1", hash: 7, compactRevision: 3 }] })).toEqual([]);
  });

  test.each(cases)("%s", (_, drafts, facts, expected) => {
    expect(say(drafts, facts).join("\n")).toMatch(expected);
  });

  test("heartbeats that are late now, not long ago", () => {
    const late = (count: number): MemberReading =>
      reading(1, { metrics: `etcd_server_heartbeat_send_failures_total ${count}` });
    const rest = [reading(2), reading(3)];
    const of = (before: number, after: number): string[] =>
      say([], { before: [late(before), ...rest], after: [late(after), ...rest] });
    expect(of(5, 5)).toEqual([]);
    expect(of(5, 8).join()).toContain("m1 sends heartbeats late (3 since a moment ago)");
  });
});

describe("of real clusters", () => {
  let cluster: ClusterProcesses;
  beforeAll(async () => {
    cluster = await ClusterProcesses.start(3);
  }, 60_000);
  afterAll(() => cluster[Symbol.asyncDispose]());

  test("names a member that was killed; top shows it, too", async () => {
    const at = `--endpoints=${cluster.endpoints.join()}`;
    await eventually(
      async () => (await control([at, "doctor", "--quick"])).out,
      (out) => expect(out).not.toContain("PROBLEM"),
      30_000,
    );
    const json = JSON.parse(
      await printed([at, "top", "--once", "--interval=200ms", "-w=json"]),
    ) as {
      role: string;
    }[];
    expect(json.map(({ role }) => role).sort()).toEqual(["follower", "follower", "leader"]);
    await cluster.members[2]?.stop("SIGKILL");
    const { exit, out } = await control([at, "doctor"]);
    expect({ exit, out }).toMatchObject({ exit: 5 });
    expect(out).toMatch(/PROBLEM node3 \(127\.0\.0\.1:\d+\) does not answer: connect ECONNREFUSED/);
    expect(out).toContain("do:  systemctl status quorate");
    expect(out).toMatch(/WARNING no further member may fail: 2 of 3 voters are up, 2 are needed/);
    const top = await printed([at, "top", "--once", "--interval=200ms"]);
    expect(top).toMatch(/node3 +away/);
    expect(top).toMatch(/node3 \(127\.0\.0\.1:\d+\) does not answer/);
  }, 90_000);

  test("nobody there is a finding as well", async () => {
    const { exit, out } = await control(["--endpoints=127.0.0.1:1", "doctor"]);
    expect(exit).toBe(5);
    expect(out).toContain("PROBLEM the members cannot be listed");
    expect(out).toContain("why: 127.0.0.1:1: connect ECONNREFUSED");
  }, 30_000);
});
