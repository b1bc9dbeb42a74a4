// What one member's own metrics and clock say of its health.

import { type MemberReading, titleOf } from "./cluster-facts.ts";
import type { Finding } from "./doctor-checks.ts";
import { quantile } from "./metrics-text.ts";

const clockOffsetMsMax = 2_000;
const fsyncSecondsMax = 0.05;
const loopLagSecondsMax = 0.2;
const leaderChangesPerHourMax = 3;
const minimumUptimeHours = 0.1;
const fragmentedBytesMin = 100 * 1024 * 1024;
const openFilesShareMax = 0.8;

export function checkMemberHealth(
  before: MemberReading | undefined,
  after: MemberReading,
): Finding[] {
  return [
    ...checkClock(after),
    ...checkDisk(after),
    ...checkHeartbeats(before, after),
    ...checkElections(after),
    ...checkEventLoop(after),
    ...checkFragments(after),
    ...checkFiles(after),
  ];
}

function checkClock({ member, clockOffsetMs }: MemberReading): Finding[] {
  return clockOffsetMs === undefined || Math.abs(clockOffsetMs) < clockOffsetMsMax
    ? []
    : [
        {
          severity: "warning",
          what:
            `the clock of ${titleOf(member)} is ${(Math.abs(clockOffsetMs) / 1_000).toFixed(1)} s ` +
            `${clockOffsetMs > 0 ? "ahead of" : "behind"} this machine's`,
          cause:
            "no time service runs on one of the two; leases count on their own, logs and certificates do not",
          mend: ["timedatectl set-ntp true   (on that machine)"],
        },
      ];
}

function checkDisk({ member, metrics }: MemberReading): Finding[] {
  const p99 = quantile(metrics?.histogram("etcd_disk_wal_fsync_duration_seconds"), 0.99);
  return p99 === undefined || p99 < fsyncSecondsMax
    ? []
    : [
        {
          severity: "warning",
          what: `the disk of ${titleOf(member)} is slow: 1% of log writes take over ${Math.round(p99 * 1_000)} ms`,
          cause:
            "another program writes to the same disk, or it is no SSD; every write waits for it",
          mend: ["quoratectl check perf", "put the data directory on a disk of its own"],
        },
      ];
}

function checkHeartbeats(before: MemberReading | undefined, after: MemberReading): Finding[] {
  const name = "etcd_server_heartbeat_send_failures_total";
  const late = (after.metrics?.sum(name) ?? 0) - (before?.metrics?.sum(name) ?? 0);
  return late <= 0 || before?.metrics === undefined
    ? []
    : [
        {
          severity: "warning",
          what: `${titleOf(after.member)} sends heartbeats late (${late} since a moment ago)`,
          cause: "its processor or disk is overloaded; followers may elect another leader",
          mend: [
            "quoratectl top   (cpu and fsync)",
            "raise --heartbeat-interval and --election-timeout where the network is slow",
          ],
        },
      ];
}

function uptimeHours({ metrics, atMs }: MemberReading): number {
  const started = metrics?.sum("process_start_time_seconds");
  // `atMs` is monotonic; what is since the epoch now is close enough.
  return started === undefined || atMs < 0 ? 0 : (Date.now() / 1_000 - started) / 3_600;
}

function checkElections(after: MemberReading): Finding[] {
  const changes = after.metrics?.sum("etcd_server_leader_changes_seen_total") ?? 0;
  const hours = Math.max(uptimeHours(after), minimumUptimeHours);
  return changes < 5 || changes / hours < leaderChangesPerHourMax
    ? []
    : [
        {
          severity: "warning",
          what: `${titleOf(after.member)} has seen ${changes} changes of leader in ${hours.toFixed(1)} h`,
          cause: "heartbeats come too late: a slow disk, a busy processor, a bad network",
          mend: ["quoratectl top", "raise --election-timeout, the same on all members"],
        },
      ];
}

function checkEventLoop({ member, metrics }: MemberReading): Finding[] {
  const lag = metrics?.sum("nodejs_eventloop_lag_p99_seconds") ?? 0;
  return lag < loopLagSecondsMax
    ? []
    : [
        {
          severity: "warning",
          what: `${titleOf(member)} is held up: its event loop waits ${Math.round(lag * 1_000)} ms (p99)`,
          cause: "the processor is overloaded, or requests are very large",
          mend: [
            "quoratectl top",
            "give the member a processor of its own; read ranges with --limit",
          ],
        },
      ];
}

/** Of etcd: Quorate uses freed space again by itself. */
function checkFragments({ member, status, metrics }: MemberReading): Finding[] {
  const { dbSize = 0, dbSizeInUse = 0 } = status ?? {};
  const isQuorate = metrics?.label("quorate_version", "version") !== undefined;
  const wasted = dbSize - dbSizeInUse;
  return isQuorate || dbSizeInUse <= 0 || wasted < fragmentedBytesMin || wasted < dbSize / 2
    ? []
    : [
        {
          severity: "note",
          what: `over half of the store of ${titleOf(member)} is unused`,
          cause: "etcd does not give back what compaction frees",
          mend: [
            `quoratectl --endpoints=${member.endpoint} defrag   (it answers nothing meanwhile)`,
          ],
        },
      ];
}

function checkFiles({ member, metrics }: MemberReading): Finding[] {
  const open = metrics?.sum("process_open_fds") ?? 0;
  const max = metrics?.sum("process_max_fds") ?? 0;
  return max <= 0 || open < openFilesShareMax * max
    ? []
    : [
        {
          severity: "warning",
          what: `${titleOf(member)} has ${open} of ${max} files open`,
          cause: "many connections; beyond the limit none is taken",
          mend: ["LimitNOFILE=65536 in the service's unit, and restart"],
        },
      ];
}
