// Every flag that etcd documents is taken: it works, or it is warned of. The list is that of etcd's
// documentation for 3.6 and 3.7, each with a value other than its default.

import { expect, it, test } from "vitest";
import { buildConfig, collectSettings, parseArguments } from "../../src/cli/index.ts";
import { flagTable } from "../../src/cli/flags/index.ts";

/** Values that need others beside them, or are not any text. */
const documented: Readonly<Record<string, string>> = {
  name: "n1",
  "data-dir": "elsewhere",
  "wal-dir": "log",
  "snapshot-count": "5000",
  "snapshot-catchup-entries": "100",
  "heartbeat-interval": "50",
  "election-timeout": "500",
  "initial-election-tick-advance": "false",
  "listen-peer-urls": "http://127.0.0.1:1",
  "listen-client-urls": "http://127.0.0.1:2",
  "listen-client-http-urls": "http://127.0.0.1:3",
  "max-wals": "2",
  "max-snapshots": "2",
  "memory-mlock": "true",
  "quota-backend-bytes": "1000000",
  "backend-bbolt-freelist-type": "array",
  "backend-batch-interval": "1s",
  "backend-batch-limit": "10",
  "max-txn-ops": "10",
  "max-request-bytes": "100000",
  "max-concurrent-streams": "10",
  "grpc-keepalive-min-time": "6s",
  "grpc-keepalive-interval": "1h",
  "grpc-keepalive-timeout": "10s",
  "socket-reuse-port": "true",
  "socket-reuse-address": "true",
  "raft-read-timeout": "1s",
  "raft-write-timeout": "1s",
  "feature-gates": "InitialCorruptCheck=true",
  "initial-advertise-peer-urls": "http://127.0.0.1:1",
  "initial-cluster": "n1=http://127.0.0.1:1",
  "initial-cluster-state": "existing",
  "initial-cluster-token": "t",
  "advertise-client-urls": "http://127.0.0.1:2",
  "discovery-endpoints": "http://127.0.0.1:9",
  "discovery-token": "t",
  "discovery-dial-timeout": "1s",
  "discovery-request-timeout": "1s",
  "discovery-keepalive-time": "1s",
  "discovery-keepalive-timeout": "1s",
  "discovery-insecure-transport": "false",
  "discovery-insecure-skip-tls-verify": "true",
  "discovery-cert": "c.pem",
  "discovery-key": "k.pem",
  "discovery-cacert": "ca.pem",
  "discovery-user": "u:p",
  "discovery-password": "p",
  "discovery-fallback": "proxy",
  "discovery-proxy": "http://127.0.0.1:9",
  "discovery-srv": "example.org",
  "discovery-srv-name": "s",
  "strict-reconfig-check": "false",
  "pre-vote": "false",
  "auto-compaction-mode": "revision",
  "auto-compaction-retention": "100",
  "max-learners": "2",
  "cert-file": "c.pem",
  "key-file": "k.pem",
  "client-cert-file": "c.pem",
  "client-key-file": "k.pem",
  "client-cert-auth": "true",
  "client-crl-file": "crl.pem",
  "client-cert-allowed-hostname": "h",
  "trusted-ca-file": "ca.pem",
  "auto-tls": "true",
  "peer-cert-file": "c.pem",
  "peer-key-file": "k.pem",
  "peer-client-cert-file": "c.pem",
  "peer-client-key-file": "k.pem",
  "peer-client-cert-auth": "true",
  "peer-trusted-ca-file": "ca.pem",
  "peer-auto-tls": "true",
  "peer-crl-file": "crl.pem",
  "peer-cert-allowed-cn": "cn",
  "peer-cert-allowed-hostname": "h",
  "peer-skip-client-san-verification": "true",
  "self-signed-cert-validity": "2",
  "cipher-suites": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
  "tls-min-version": "TLS1.3",
  "tls-max-version": "TLS1.3",
  cors: "https://a.example",
  "host-whitelist": "a.example",
  "auth-token": "simple",
  "bcrypt-cost": "12",
  "auth-token-ttl": "10",
  "enable-pprof": "true",
  metrics: "extensive",
  "listen-metrics-urls": "http://127.0.0.1:4",
  logger: "zap",
  "log-outputs": "some.log",
  "log-level": "debug",
  "log-format": "console",
  "enable-log-rotation": "true",
  "log-rotation-config-json": '{"maxsize": 5}',
  "warning-apply-duration": "1s",
  "warning-unary-request-duration": "1s",
  "enable-distributed-tracing": "true",
  "distributed-tracing-address": "localhost:1",
  "distributed-tracing-service-name": "s",
  "distributed-tracing-instance-id": "i",
  "distributed-tracing-sampling-rate": "1",
  "enable-grpc-gateway": "false",
  "corrupt-check-time": "1h",
  "compact-hash-check-time": "1h",
  "compaction-batch-limit": "10",
  "compaction-sleep-interval": "1s",
  "watch-progress-notify-interval": "1s",
  "bootstrap-defrag-threshold-megabytes": "1",
  "downgrade-check-time": "1s",
  "force-new-cluster": "true",
  "unsafe-no-fsync": "true",
  "v2-deprecation": "gone",
  "enable-v2": "true",
};

/** What a flag cannot be given without. */
const companions: Readonly<Record<string, readonly string[]>> = {
  "listen-client-urls": ["advertise-client-urls"],
  "discovery-endpoints": ["discovery-token"],
  "discovery-token": ["discovery-endpoints"],
  "initial-cluster": ["name", "initial-advertise-peer-urls"],
  "auto-compaction-mode": ["auto-compaction-retention"],
  "auto-compaction-retention": ["auto-compaction-mode"],
  "enable-log-rotation": ["log-outputs"],
  "election-timeout": ["heartbeat-interval"],
  "tls-max-version": ["tls-min-version"],
  "peer-cert-file": ["peer-key-file"],
  "cert-file": ["key-file"],
};

/** Ways to start that need no value, or that etcd has dropped. */
const apart = ["config-file", "version", "discovery"];

it.each(Object.entries(documented))("takes --%s=%s", (name, value) => {
  const others = (companions[name] ?? []).map((other) => `--${other}=${documented[other]}`);
  const line = parseArguments([`--${name}=${value}`, ...others]);
  if (line.kind !== "serve") {
    throw new Error("not a start");
  }
  const { notices } = buildConfig(collectSettings(line.flags, {}), false);
  const flag = flagTable.find((row) => row.name === name);
  const warned = notices.some(
    ({ level, fields }) => level === "warn" && (fields as { flag?: string }).flag === name,
  );
  const isOther = value !== flag?.default;
  expect([name, flag?.status === "works" || !isOther || warned]).toEqual([name, true]);
  expect(flag?.status).not.toBe("refused");
});

test("no flag of the table is left out", () => {
  const known = new Set([...Object.keys(documented), ...apart]);
  const etcds = flagTable.filter(({ group }) => group !== "Quorate's own");
  expect(etcds.map(({ name }) => name).filter((name) => !known.has(name))).toEqual([]);
  expect(Object.keys(documented).filter((name) => !etcds.some((row) => row.name === name))).toEqual(
    [],
  );
});
