// The figures of top, from two readings of each member.

import { idToHex } from "../../base/index.ts";
import { type MemberReading, titleOf } from "./cluster-facts.ts";
import { sizeText } from "./go-text.ts";
import { histogramBetween, quantile } from "./metrics-text.ts";

/** One member; rates are a second, times in milliseconds; null where it does not say. */
export interface TopMember {
  readonly name: string;
  readonly endpoint: string;
  readonly role: "leader" | "follower" | "learner" | "away";
  readonly term: number | null;
  readonly appliedIndex: number | null;
  /** Entries that the leader has committed and this member has not applied. */
  readonly lag: number | null;
  readonly puts: number | null;
  readonly ranges: number | null;
  readonly txns: number | null;
  readonly calls: number | null;
  readonly latencyP50Ms: number | null;
  readonly latencyP99Ms: number | null;
  readonly syncP99Ms: number | null;
  readonly sizeBytes: number | null;
  readonly inUseBytes: number | null;
  readonly watchers: number | null;
  readonly memoryBytes: number | null;
  /** Of one core. */
  readonly cpuShare: number | null;
  readonly failure: string;
}

export interface TopRows {
  readonly title: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly members: readonly TopMember[];
  /** A line for each member that does not answer. */
  readonly failures: readonly string[];
}

export function topRows(
  before: readonly MemberReading[],
  after: readonly MemberReading[],
): TopRows {
  const leaderIndex = Math.max(0, ...after.map(({ status }) => status?.raftIndex ?? 0));
  const members = after.map((reading) => {
    const earlier = before.find(({ member }) => member.id === reading.member.id);
    return figuresOf(earlier, reading, leaderIndex);
  });
  const leader = members.find(({ role }) => role === "leader");
  const answering = members.filter(({ role }) => role !== "away").length;
  const cluster = after.find(({ status }) => status !== undefined)?.status?.header?.clusterId ?? 0n;
  const revision = Math.max(0, ...after.map(({ status }) => status?.header?.revision ?? 0));
  return {
    title:
      `cluster ${idToHex(cluster)}: ${answering} of ${members.length} members answer, ` +
      `leader ${leader?.name ?? "none"}, revision ${revision}`,
    header,
    rows: members.map(rowOf),
    members,
    failures: members
      .filter(({ role }) => role === "away")
      .map(({ name, endpoint, failure }) => `${name} (${endpoint}) does not answer: ${failure}`),
  };
}

const header = [
  "member",
  "role",
  "term",
  "applied",
  "lag",
  "put/s",
  "get/s",
  "txn/s",
  "call/s",
  "p50",
  "p99",
  "fsync p99",
  "db",
  "in use",
  "watchers",
  "memory",
  "cpu",
] as const;

function figuresOf(
  before: MemberReading | undefined,
  after: MemberReading,
  leaderIndex: number,
): TopMember {
  const { member, status, metrics } = after;
  const seconds = before === undefined ? 0 : (after.atMs - before.atMs) / 1_000;
  const rate = (name: string): number | null => {
    const now = metrics?.sum(name);
    const then = before?.metrics?.sum(name);
    return now === undefined || then === undefined || seconds <= 0
      ? null
      : Math.max(0, now - then) / seconds;
  };
  const spread = (name: string, share: number, type?: string): number | null => {
    const select = (labels: Readonly<Record<string, string>>): boolean =>
      type === undefined || labels["grpc_type"] === type;
    const between = histogramBetween(
      before?.metrics?.histogram(name, select),
      metrics?.histogram(name, select),
    );
    const found = quantile(between, share);
    return found === undefined ? null : found * 1_000;
  };
  return {
    name: titleOf(member),
    endpoint: member.endpoint,
    role: roleOf(after),
    term: status?.raftTerm ?? null,
    appliedIndex: status?.raftAppliedIndex ?? null,
    lag: status === undefined ? null : Math.max(0, leaderIndex - status.raftAppliedIndex),
    puts: rate("etcd_mvcc_put_total"),
    ranges: rate("etcd_mvcc_range_total"),
    txns: rate("etcd_mvcc_txn_total"),
    calls: rate("grpc_server_started_total"),
    latencyP50Ms: spread("grpc_server_handling_seconds", 0.5, "unary"),
    latencyP99Ms: spread("grpc_server_handling_seconds", 0.99, "unary"),
    syncP99Ms: spread("etcd_disk_wal_fsync_duration_seconds", 0.99),
    sizeBytes: status?.dbSize ?? null,
    inUseBytes: status?.dbSizeInUse ?? null,
    watchers: metrics?.sum("etcd_debugging_mvcc_watcher_total") ?? null,
    memoryBytes: metrics?.sum("process_resident_memory_bytes") ?? null,
    cpuShare: rate("process_cpu_seconds_total"),
    failure: after.failure,
  };
}

function roleOf({ status, member }: MemberReading): TopMember["role"] {
  if (status === undefined) {
    return "away";
  }
  if (status.isLearner) {
    return "learner";
  }
  return status.leader === member.id ? "leader" : "follower";
}

function rowOf(member: TopMember): string[] {
  if (member.role === "away") {
    return [member.name, member.role, ...header.slice(2).map(() => "-")];
  }
  const whole = (value: number | null): string => (value === null ? "-" : String(value));
  const rate = (value: number | null): string => {
    if (value === null) {
      return "-";
    }
    return value >= 10 || value === 0 ? value.toFixed(0) : value.toFixed(1);
  };
  const ms = (value: number | null): string => {
    if (value === null) {
      return "-";
    }
    return value >= 10 ? `${value.toFixed(0)}ms` : `${value.toFixed(2)}ms`;
  };
  const size = (value: number | null): string => (value === null ? "-" : sizeText(value));
  return [
    member.name,
    member.role,
    whole(member.term),
    whole(member.appliedIndex),
    whole(member.lag),
    rate(member.puts),
    rate(member.ranges),
    rate(member.txns),
    rate(member.calls),
    ms(member.latencyP50Ms),
    ms(member.latencyP99Ms),
    ms(member.syncP99Ms),
    size(member.sizeBytes),
    size(member.inUseBytes),
    whole(member.watchers),
    size(member.memoryBytes),
    member.cpuShare === null ? "-" : `${Math.round(member.cpuShare * 100)}%`,
  ];
}
