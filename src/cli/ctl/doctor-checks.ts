// What is wrong with a cluster, from what its members said: each check is a function of the facts.

import { idToHex } from "../../base/index.ts";
import type { AlarmMember } from "../../wire/index.ts";
import { AlarmType } from "../../wire/index.ts";
import { type MemberReading, titleOf } from "./cluster-facts.ts";
import { checkMemberHealth } from "./doctor-member.ts";

export interface Finding {
  /** A problem hurts now; a warning will; a note is good to know. */
  readonly severity: "problem" | "warning" | "note";
  /** One line. */
  readonly what: string;
  readonly cause: string;
  /** Command lines that mend it, or a sentence. */
  readonly mend: readonly string[];
}

export interface CertificateFact {
  readonly url: string;
  readonly validToMs: number;
}

export interface HashFact {
  readonly name: string;
  readonly hash: number;
  readonly compactRevision: number;
}

export interface ClusterFacts {
  /** Two readings of every member, a moment apart. */
  readonly before: readonly MemberReading[];
  readonly after: readonly MemberReading[];
  readonly alarms: readonly AlarmMember[];
  /** Undefined where nobody could say. */
  readonly authEnabled: boolean | undefined;
  readonly hashes: readonly HashFact[];
  readonly hashRevision: number;
  readonly certificates: readonly CertificateFact[];
  readonly nowMs: number;
}

const day = 86_400_000;
const lagMax = 1_000;
const localHosts = /^(?:localhost|127\.|\[?::1\]?|unix)/;

export function findingsOf(facts: ClusterFacts): Finding[] {
  const order = { problem: 0, warning: 1, note: 2 } as const;
  return [
    ...checkAway(facts),
    ...checkLeader(facts),
    ...checkAlarms(facts),
    ...checkLag(facts),
    ...checkLearners(facts),
    ...checkVersions(facts),
    ...checkHashes(facts),
    ...checkCertificates(facts),
    ...checkOpenness(facts),
    ...checkSize(facts),
    ...facts.after.flatMap((reading, at) => checkMemberHealth(facts.before[at], reading)),
  ].sort((a, b) => order[a.severity] - order[b.severity]);
}

const problem = (what: string, cause: string, ...mend: string[]): Finding => ({
  severity: "problem",
  what,
  cause,
  mend,
});
const warning = (what: string, cause: string, ...mend: string[]): Finding => ({
  severity: "warning",
  what,
  cause,
  mend,
});
const note = (what: string, cause: string, ...mend: string[]): Finding => ({
  severity: "note",
  what,
  cause,
  mend,
});

function checkAway({ after }: ClusterFacts): Finding[] {
  return after
    .filter(({ status }) => status === undefined)
    .map(({ member, failure }) => {
      const id = idToHex(member.id);
      if (member.endpoint === "") {
        return warning(
          `member ${id} (${member.peerUrls.join(", ")}) has never started`,
          "it was added and not started, or added by mistake; it counts for the quorum",
          `start it with --initial-cluster-state=existing, or: quoratectl member remove ${id}`,
        );
      }
      return problem(
        `${titleOf(member)} (${member.endpoint}) does not answer: ${failure}`,
        /ECONNREFUSED/.test(failure)
          ? "nothing listens there: the process has ended, or listens elsewhere"
          : "the machine or the network is down, or a firewall is between",
        "systemctl status quorate; journalctl -u quorate -n 50   (on that machine)",
        `for good: quoratectl member remove ${id}, and member add a new one`,
      );
    });
}

function checkLeader({ after }: ClusterFacts): Finding[] {
  const answering = after.filter(({ status }) => status !== undefined);
  const voters = after.filter(({ member }) => !member.isLearner).length;
  const up = answering.filter(({ member }) => !member.isLearner).length;
  const quorum = Math.floor(voters / 2) + 1;
  if (answering.length > 0 && answering.every(({ status }) => status?.leader === 0n)) {
    return [
      up < quorum
        ? problem(
            `there is no leader: ${up} of ${voters} voters are up, ${quorum} are needed`,
            "writes and linearizable reads wait until a majority is up again",
            "start the members that do not answer",
            "if they are lost for good: restart one that is left with --force-new-cluster",
          )
        : problem(
            "there is no leader, though a majority is up",
            "the members do not reach each other at their peer URLs, or their clocks stall",
            "quoratectl member list -w table   (are the peer URLs right?)",
            "see the logs of the members for failed connections and elections",
          ),
    ];
  }
  const leaders = new Set(answering.map(({ status }) => status?.leader).filter((id) => id !== 0n));
  if (leaders.size > 1) {
    return [
      problem(
        `the members name ${leaders.size} leaders: ${[...leaders].map((id) => idToHex(id ?? 0n)).join(", ")}`,
        "an election is under way, or the endpoints are of different clusters",
        "run doctor again; quoratectl endpoint status --cluster -w table",
      ),
    ];
  }
  return spareOf(voters, up, quorum);
}

function spareOf(voters: number, up: number, quorum: number): Finding[] {
  if (up === quorum && up < voters) {
    return [
      warning(
        `no further member may fail: ${up} of ${voters} voters are up, ${quorum} are needed`,
        "members are away",
        "start the members that do not answer",
      ),
    ];
  }
  if (voters > 1 && voters % 2 === 0) {
    return [
      note(
        `there are ${voters} voters: one fewer would bear as many failures`,
        "a majority of an even number needs one more",
        "quoratectl member add NAME --learner --peer-urls=URL, then member promote",
      ),
    ];
  }
  return voters === 1
    ? [note("there is one voter: nothing may fail", "a cluster of one has no copy")]
    : [];
}

function checkAlarms({ alarms, after }: ClusterFacts): Finding[] {
  return alarms.map(({ memberId, alarm }) => {
    const at = after.find(({ member }) => member.id === memberId);
    const name = at === undefined ? idToHex(memberId) : titleOf(at.member);
    const revision = Math.max(0, ...after.map(({ status }) => status?.header?.revision ?? 0));
    return alarm === AlarmType.CORRUPT
      ? problem(
          `${name} has raised CORRUPT: its data differs from the others'`,
          "its disk or memory has altered data; writes are refused until it is gone",
          "quoratectl endpoint hashkv --cluster   (which one differs?)",
          `quoratectl member remove ${idToHex(memberId)}, delete its data, member add, start empty`,
          "quoratectl alarm disarm",
        )
      : problem(
          `${name} has raised NOSPACE: writes are refused`,
          "its store is larger than --quota-backend-bytes",
          `quoratectl compaction ${revision} --physical`,
          "quoratectl defrag --cluster",
          "quoratectl alarm disarm",
        );
  });
}

function checkLag({ before, after }: ClusterFacts): Finding[] {
  const commitOf = (readings: readonly MemberReading[]): number =>
    Math.max(0, ...readings.map(({ status }) => status?.raftIndex ?? 0));
  const lagOf = (reading: MemberReading | undefined, commit: number): number =>
    reading?.status === undefined ? 0 : commit - reading.status.raftAppliedIndex;
  return after.flatMap((reading, at) => {
    const lag = lagOf(reading, commitOf(after));
    const earlier = lagOf(before[at], commitOf(before));
    if (lag <= lagMax) {
      return [];
    }
    return [
      warning(
        `${titleOf(reading.member)} is ${lag} entries behind` +
          (lag < earlier ? `, and catching up (${earlier - lag} less than before)` : ""),
        "it was away, or its disk, processor or network is slower than the leader writes",
        "quoratectl top   (fsync, cpu and latency of each member)",
      ),
    ];
  });
}

function checkLearners({ after }: ClusterFacts): Finding[] {
  const commit = Math.max(0, ...after.map(({ status }) => status?.raftIndex ?? 0));
  return after
    .filter(({ member, status }) => member.isLearner && status !== undefined)
    .map(({ member, status }) =>
      commit - (status?.raftAppliedIndex ?? 0) < lagMax
        ? warning(
            `${titleOf(member)} is still a learner, and has caught up`,
            "a learner does not vote: the cluster bears no more failures for it",
            `quoratectl member promote ${idToHex(member.id)}`,
          )
        : note(
            `${titleOf(member)} is a learner, and catching up`,
            "it was added not long ago",
            `once it has caught up: quoratectl member promote ${idToHex(member.id)}`,
          ),
    );
}

function checkVersions({ after }: ClusterFacts): Finding[] {
  const versions = after.flatMap(({ member, status, metrics }) => {
    const own = metrics?.label("quorate_version", "version");
    return status === undefined
      ? []
      : [{ name: titleOf(member), version: own === undefined ? status.version : `Quorate ${own}` }];
  });
  const different = new Set(versions.map(({ version }) => version));
  return different.size < 2
    ? []
    : [
        warning(
          `the members run different versions: ${versions.map(({ name, version }) => `${name} ${version}`).join(", ")}`,
          "an upgrade is under way, or was left half done",
          "upgrade the others, one by one, the leader last",
        ),
      ];
}

function checkHashes({ hashes, hashRevision }: ClusterFacts): Finding[] {
  const comparable = hashes.filter(
    ({ compactRevision }) => compactRevision === hashes[0]?.compactRevision,
  );
  const byHash = new Map<number, string[]>();
  for (const { name, hash } of comparable) {
    byHash.set(hash, [...(byHash.get(hash) ?? []), name]);
  }
  if (byHash.size < 2) {
    return [];
  }
  const groups = [...byHash.values()].sort((a, b) => b.length - a.length);
  const odd = groups.slice(1).flat();
  return [
    problem(
      `the data of ${odd.join(", ")} differs from ${groups[0]?.join(", ")} at revision ${hashRevision}`,
      "a disk, a memory or a fault of the software has altered data",
      "keep a copy of the data directories",
      `quoratectl member remove the odd one, delete its data, member add, start it empty`,
    ),
  ];
}

function checkCertificates({ certificates, nowMs }: ClusterFacts): Finding[] {
  return certificates.flatMap(({ url, validToMs }) => {
    const days = Math.floor((validToMs - nowMs) / day);
    const date = new Date(validToMs).toISOString().slice(0, 10);
    const mend = "put the new certificate in its file: members load it for the next connection";
    if (validToMs <= nowMs) {
      return [problem(`the certificate of ${url} has expired on ${date}`, "no renewal", mend)];
    }
    return days < 30
      ? [
          warning(
            `the certificate of ${url} expires in ${days} days, on ${date}`,
            "no renewal",
            mend,
          ),
        ]
      : [];
  });
}

/** What anybody on the network could do. */
function checkOpenness({ after, authEnabled }: ClusterFacts): Finding[] {
  const open = [...new Set(after.flatMap(({ member }) => member.clientUrls))].filter((url) => {
    const host = url.replace(/^\w+:\/\//, "");
    return !localHosts.test(host) && !url.startsWith("unix");
  });
  const findings: Finding[] = [];
  if (authEnabled === false && open.length > 0) {
    findings.push(
      warning(
        `authentication is off, and clients are served at ${open.join(", ")}`,
        "who reaches that address may read, change and delete everything, unless --client-cert-auth asks for certificates",
        "quoratectl user add root && quoratectl user grant-role root root && quoratectl auth enable",
      ),
    );
  }
  const plain = open.filter((url) => url.startsWith("http:"));
  if (plain.length > 0) {
    findings.push(
      note(
        `clients are served without TLS at ${plain.join(", ")}`,
        "whoever is on the way can read and alter what is sent, passwords too",
        "give the members --cert-file, --key-file and https:// URLs",
      ),
    );
  }
  return findings;
}

function checkSize({ after }: ClusterFacts): Finding[] {
  return after.flatMap(({ member, status, metrics }) => {
    const quota = status?.dbSizeQuota || (metrics?.sum("etcd_server_quota_backend_bytes") ?? 0);
    const size = status?.dbSize ?? 0;
    if (quota <= 0 || size < 0.8 * quota) {
      return [];
    }
    const revision = status?.header?.revision ?? 0;
    return [
      warning(
        `the store of ${titleOf(member)} takes ${Math.floor((100 * size) / quota)}% of its quota`,
        "at 100% writes are refused (NOSPACE)",
        `quoratectl compaction ${revision} --physical && quoratectl defrag --cluster`,
        "or raise --quota-backend-bytes; --auto-compaction-retention keeps history short",
      ),
    ];
  });
}
