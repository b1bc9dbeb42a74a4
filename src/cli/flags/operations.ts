// Flags for operators: logs, metrics, tracing, checks, compaction, emergency switches.

import { type Flag, type FlagKind, rowsOf } from "./flag.ts";

const row = rowsOf("Operations");
const noTracing =
  "No meaning here: nothing is traced; see /metrics and the warnings of slow calls.";

function tracing(name: string, kind: FlagKind, defaultText: string): Flag {
  return row(`distributed-tracing-${name}`, kind, defaultText, "ignored", noTracing);
}

function ignored(name: string, kind: FlagKind, defaultText: string, why: string): Flag {
  return row(name, kind, defaultText, "ignored", `No meaning here: ${why}.`);
}

export const operationsFlags: readonly Flag[] = [
  row("config-file", "string", "", "works", "A YAML or JSON file with etcd's keys."),
  row("version", "bool", "false", "works", "Print the version and exit."),
  row("logger", "choice", "zap", "works", "Accepted for etcd's sake; the keys are zap's.", ["zap"]),
  row("log-level", "choice", "info", "works", "The least severe lines to log.", [
    "debug",
    "info",
    "warn",
    "error",
    "panic",
    "fatal",
  ]),
  row("log-format", "choice", "", "works", "Default: console on a terminal, json otherwise.", [
    "json",
    "console",
  ]),
  row(
    "log-outputs",
    "list",
    "default",
    "works",
    "Where the log goes: stderr (default), stdout, or files to append to.",
  ),
  row(
    "enable-log-rotation",
    "bool",
    "false",
    "works",
    "Put the log's file aside when it grows too large; needs one file in --log-outputs.",
  ),
  row(
    "log-rotation-config-json",
    "string",
    '{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}',
    "works",
    "Its limits: megabytes, days, and backups, 0 for none (100 megabytes).",
  ),
  row("metrics", "choice", "basic", "ignored", "No meaning here: /metrics always shows all.", [
    "basic",
    "extensive",
  ]),
  row("listen-metrics-urls", "urls", "", "works", "Further addresses, for /metrics and health."),
  ignored("enable-pprof", "bool", "false", "Go's profiler; Node.js has --cpu-prof"),
  row("enable-grpc-gateway", "bool", "true", "works", "Serve the JSON gateway."),
  row(
    "watch-progress-notify-interval",
    "duration",
    "10m",
    "works",
    "How often idle watchers that ask for it are told the revision.",
  ),
  row(
    "warning-apply-duration",
    "duration",
    "100ms",
    "works",
    "A command that takes longer to apply is logged; at most ten lines a second.",
  ),
  row(
    "warning-unary-request-duration",
    "duration",
    "300ms",
    "works",
    "A call that takes longer to answer is logged; at most ten lines a second.",
  ),
  row("enable-distributed-tracing", "bool", "false", "ignored", noTracing),
  tracing("address", "string", "localhost:4317"),
  tracing("service-name", "string", "etcd"),
  tracing("instance-id", "string", ""),
  tracing("sampling-rate", "uint", "0"),
  row(
    "corrupt-check-time",
    "duration",
    "0s",
    "works",
    "How often the members' stores are compared by hash, a pass over each; 0 for never.",
  ),
  row(
    "compact-hash-check-time",
    "duration",
    "1m",
    "works",
    "How often they are compared if they were compacted since; 0 for never.",
  ),
  ignored("compaction-batch-limit", "uint", "1000", "compaction paces itself"),
  ignored("compaction-sleep-interval", "duration", "10ms", "compaction paces itself"),
  ignored("bootstrap-defrag-threshold-megabytes", "uint", "0", "nothing needs defragmentation"),
  ignored("downgrade-check-time", "duration", "5s", "there is no downgrade procedure"),
  row(
    "force-new-cluster",
    "bool",
    "false",
    "works",
    "Start as a cluster of this member alone: the way out when the quorum is lost for good.",
  ),
  row(
    "unsafe-no-fsync",
    "bool",
    "false",
    "ignored",
    "No meaning here: an acknowledged write is always on disk.",
  ),
  ignored("v2-deprecation", "string", "gone", "the v2 API was never here"),
  ignored("enable-v2", "bool", "false", "the v2 API was never here"),
];

/** Names that etcd accepts and ignores, most of them from before version 2. */
export const legacyNames: readonly string[] = [
  "cluster-active-size",
  "cluster-remove-delay",
  "cluster-sync-interval",
  "config",
  "force",
  "max-result-buffer",
  "max-retry-attempts",
  "peer-heartbeat-interval",
  "peer-election-timeout",
  "retry-interval",
  "snapshot",
  "v",
  "vv",
  "test.coverprofile",
  "test.outputdir",
];
