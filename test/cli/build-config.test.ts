// What a ServerConfig holds, and which settings do not fit together. Texts are etcd's where etcd
// has one.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseInitialCluster } from "../../src/cli/initial-cluster.ts";
import {
  buildConfig,
  collectSettings,
  ConfigError,
  parseArguments,
  type ServerConfig,
} from "../../src/cli/index.ts";
import { editDistance, suggest } from "../../src/cli/suggest.ts";
import { parseUrls } from "../../src/server/urls.ts";
import { parseDurationMs, parseSizeBytes } from "../../src/cli/values.ts";

function configOf(...args: string[]): ServerConfig {
  const line = parseArguments(args);
  if (line.kind === "help") {
    throw new Error("help was asked for");
  }
  return buildConfig(collectSettings(line.flags, {}), false).config;
}

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) {
      return error.message;
    }
    throw error;
  }
  return "accepted";
}

describe("defaults", () => {
  it("are etcd's", () => {
    expect(configOf()).toEqual({
      name: "default",
      dataDir: "default.etcd",
      listenClientUrls: parseUrls("http://127.0.0.1:2379"),
      listenClientHttpUrls: [],
      listenMetricsUrls: [],
      listenPeerUrls: parseUrls("http://127.0.0.1:2380"),
      advertiseClientUrls: ["http://localhost:2379"],
      advertisePeerUrls: ["http://localhost:2380"],
      initialCluster: [{ name: "default", peerUrls: ["http://localhost:2380"] }],
      initialClusterState: "new",
      initialClusterToken: "etcd-cluster",
      discoverySrv: undefined,
      discoveryService: undefined,
      walDir: undefined,
      clientTls: undefined,
      peerTls: undefined,
      selfSignedValidityYears: 1,
      corsOrigins: ["*"],
      hostNamesAllowed: ["*"],
      jsonGateway: true,
      bcryptCost: 10,
      authTokenTtlMs: 300_000,
      jwt: undefined,
      heartbeatIntervalMs: 100,
      electionTimeoutMs: 1000,
      initialElectionTickAdvance: true,
      snapshotCountEntries: 10_000,
      snapshotCatchUpEntries: 5000,
      quotaBytes: 2 * 1024 ** 3,
      memoryBudgetBytes: 256 * 1024 ** 2,
      txnOpsMax: 128,
      requestSizeBytesMax: 1_572_864,
      concurrentStreamsMax: 1_024,
      keepAliveMinTimeMs: 5000,
      keepAliveIntervalMs: 7_200_000,
      keepAliveTimeoutMs: 20_000,
      watchProgressNotifyIntervalMs: 600_000,
      learnersMax: 1,
      strictReconfiguration: true,
      corruptCheckMs: 0,
      compactHashCheckMs: 60_000,
      slowApplyMs: 100,
      slowRequestMs: 300,
      featureGates: new Map([
        ["AutoPromoteLearners", false],
        ["CompactHashCheck", true],
        ["FastLeaseKeepAlive", true],
        ["InitialCorruptCheck", false],
        ["LeaseCheckpoint", true],
        ["LeaseCheckpointPersist", true],
        ["PriorityRequest", false],
        ["SetMemberLocalAddr", false],
        ["StopGRPCServiceOnDefrag", false],
        ["TxnModeWriteWithSharedBuffer", true],
      ]),
      forceNewCluster: false,
      autoCompaction: undefined,
      grpcServer: "direct",
      emulatedVersion: "3.6.14",
      log: { level: "info", format: "json", outputs: ["stderr"], rotation: undefined },
    });
  });

  it("follow the name", () => {
    const config = configOf("--name=abc");
    expect(config.dataDir).toBe("abc.etcd");
    expect(config.initialCluster).toEqual([{ name: "abc", peerUrls: ["http://localhost:2380"] }]);
  });
});

describe("relations", () => {
  it.each([
    [["--heartbeat-interval=0"], "--heartbeat-interval must be >0 (set to 0ms)"],
    [["--election-timeout=0"], "--election-timeout must be >0 (set to 0ms)"],
    [
      ["--heartbeat-interval=201"],
      "--election-timeout[1000ms] should be at least as 5 times as --heartbeat-interval[201ms]",
    ],
    [["--heartbeat-interval=200"], "accepted"],
    [
      ["--election-timeout=50001"],
      "--election-timeout[50001ms] is too long, and should be set less than 50000ms",
    ],
    [["--election-timeout=50000"], "accepted"],
    [
      ["--listen-client-urls=http://127.0.0.1:1"],
      "--advertise-client-urls is required when --listen-client-urls is set explicitly",
    ],
    [
      ["--listen-peer-urls=http://example.com:2380"],
      "expected IP in URL for binding (http://example.com:2380)",
    ],
    [["--listen-peer-urls=http://[::1]:2380"], "accepted"],
    [["--listen-peer-urls="], "--listen-peer-urls must name an address to listen on"],
    [
      ["--listen-peer-urls=https://127.0.0.1:2380"],
      "TLS key/cert (--peer-cert-file, --peer-key-file) must be provided for peer url " +
        "https://127.0.0.1:2380 with HTTPS scheme",
    ],
    [["--listen-metrics-urls=unix:///run/q"], "accepted"],
    [
      ["--peer-cert-allowed-cn=a", "--peer-cert-allowed-hostname=b"],
      'AllowedCN and AllowedHostname are mutually exclusive (cn=["a"], hostname=["b"])',
    ],
    [
      ["--peer-auto-tls", "--peer-client-cert-auth"],
      "--peer-auto-tls makes certificates that nobody can check: it does not go with " +
        "--peer-client-cert-auth, --peer-trusted-ca-file or --peer-cert-allowed-*",
    ],
    [["--self-signed-cert-validity=0"], "--self-signed-cert-validity must be >0 (set to 0)"],
    [
      ["--discovery-srv=a.example", "--initial-cluster=default=http://a:1"],
      "multiple discovery or bootstrap flags are set. " +
        'Choose one of "initial-cluster", "discovery", "discovery-endpoints" or "discovery-srv"',
    ],
    [
      ["--initial-advertise-peer-urls=http://:2380"],
      '--initial-advertise-peer-urls "http://:2380" must be "host:port" ' +
        "(unexpected empty host (http://:2380))",
    ],
    [
      ["--initial-cluster=a=http://1.1.1.1:1"],
      'couldn\'t find local name "default" in the initial cluster configuration',
    ],
    [
      ["--initial-cluster=default=http://1.1.1.1:1"],
      "--initial-cluster has default=http://1.1.1.1:1 " +
        "but missing from --initial-advertise-peer-urls=http://localhost:2380",
    ],
    [
      [
        "--initial-cluster=default=http://localhost:2380",
        "--initial-advertise-peer-urls=http://localhost:2380,http://1.1.1.1:1",
      ],
      "--initial-advertise-peer-urls has http://1.1.1.1:1 " +
        "but missing from --initial-cluster=default=http://localhost:2380",
    ],
    [
      ["--initial-cluster=default=http://localhost:2380,b=http://localhost:2380"],
      "initial cluster b=http://localhost:2380,default=http://localhost:2380 has duplicate url",
    ],
    [
      ["--initial-cluster=default=http://1.1.1.1:1", "--initial-cluster-state=existing"],
      "accepted",
    ],
    [
      ["--initial-cluster-state=old"],
      'invalid value "old" for --initial-cluster-state: expected one of "new", "existing"',
    ],
    [["--snapshot-count=0"], "--snapshot-count must be >0 (set to 0)"],
    [["--memory-budget=1MiB"], "--memory-budget must be at least 16MiB (set to 1MiB)"],
    [
      ["--emulate-version=v3.6"],
      '--emulate-version must be a bare version such as 3.6.14 (set to "v3.6")',
    ],
    [
      ["--auto-compaction-mode=revision", "--auto-compaction-retention=1h"],
      '--auto-compaction-retention must be a number of revisions (set to "1h")',
    ],
    [["--log-level=loud"], expect.stringContaining("expected one of") as unknown as string],
  ])("%j", (args, message) => {
    expect(messageOf(() => configOf(...args))).toEqual(message);
  });

  it("reads retention as etcd does", () => {
    const retention = (...args: string[]): unknown => configOf(...args).autoCompaction;
    expect(retention("--auto-compaction-retention=0")).toBeUndefined();
    expect(retention("--auto-compaction-retention=2")).toEqual({
      kind: "periodic",
      retentionMs: 7_200_000,
    });
    expect(retention("--auto-compaction-retention=30m")).toEqual({
      kind: "periodic",
      retentionMs: 1_800_000,
    });
    expect(
      retention("--auto-compaction-mode=revision", "--auto-compaction-retention=1000"),
    ).toEqual({ kind: "revision", retentionRevisions: 1000 });
  });

  it("turns zero and negative into what etcd means by them", () => {
    expect(configOf("--quota-backend-bytes=-1").quotaBytes).toBe(Number.POSITIVE_INFINITY);
    expect(configOf("--quota-backend-bytes=1000").quotaBytes).toBe(1000);
    expect(configOf("--grpc-keepalive-interval=0s").keepAliveIntervalMs).toBe(
      Number.POSITIVE_INFINITY,
    );
    expect(configOf("--watch-progress-notify-interval=1ms").watchProgressNotifyIntervalMs).toBe(
      100,
    );
  });
});

describe("texts of values", () => {
  it("reads durations as Go does", () => {
    expect(parseDurationMs("1h30m")).toBe(5_400_000);
    expect(parseDurationMs("1.5s")).toBe(1500);
    expect(parseDurationMs("100ms")).toBe(100);
    expect(parseDurationMs("-2m")).toBe(-120_000);
    expect(parseDurationMs("0")).toBe(0);
    for (const text of ["", "5", "s", "1x", "1s 2s", "1,5s"]) {
      expect(messageOf(() => parseDurationMs(text))).toContain("expected a duration");
    }
  });

  it("reads every sum of whole units back", () => {
    const part = fc.nat({ max: 999 });
    fc.assert(
      fc.property(part, part, part, part, (hours, minutes, seconds, ms) => {
        const expected = hours * 3_600_000 + minutes * 60_000 + seconds * 1000 + ms;
        expect(parseDurationMs(`${hours}h${minutes}m${seconds}s${ms}ms`)).toBe(expected);
      }),
    );
  });

  it("reads sizes", () => {
    expect(parseSizeBytes("1000")).toBe(1000);
    expect(parseSizeBytes("64KiB")).toBe(65_536);
    expect(parseSizeBytes("1.5g")).toBe(1.5 * 1024 ** 3);
    expect(messageOf(() => parseSizeBytes("big"))).toContain("expected a size");
  });

  it("reads addresses with etcd's complaints", () => {
    expect(parseUrls(" http://b:1 ,http://a:2").map((url) => url.text)).toEqual([
      "http://a:2",
      "http://b:1",
    ]);
    expect(parseUrls("http://[::1]:2379")[0]).toMatchObject({ host: "::1", port: 2379 });
    expect(messageOf(() => parseUrls("127.0.0.1:2379"))).toContain(
      "URL scheme must be http, https, unix, or unixs: 127.0.0.1:2379",
    );
    expect(messageOf(() => parseUrls("http://a"))).toBe(
      'URL address does not have the form "host:port": http://a',
    );
    expect(messageOf(() => parseUrls("http://a:1/x"))).toBe(
      "URL must not contain a path: http://a:1/x",
    );
    expect(messageOf(() => parseUrls("http://a:99999"))).toContain("host:port");
  });

  it("gathers several addresses of one member", () => {
    expect(parseInitialCluster("b=http://b:1,a=http://a:2,b=http://b:0")).toEqual([
      { name: "a", peerUrls: ["http://a:2"] },
      { name: "b", peerUrls: ["http://b:0", "http://b:1"] },
    ]);
  });
});

describe("suggestions", () => {
  it("count swaps of neighbours as one step", () => {
    expect(editDistance("nmae", "name")).toBe(1);
    expect(editDistance("kitten", "sitting")).toBe(3);
    expect(editDistance("", "abc")).toBe(3);
  });

  it("are silent when nothing is near", () => {
    expect(suggest("zzzzzz", ["name", "data-dir"])).toBeUndefined();
    expect(suggest("datadir", ["name", "data-dir"])).toBe("data-dir");
  });
});
