// Which source of a setting wins, and what is refused.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  buildConfig,
  collectSettings,
  ConfigError,
  parseArguments,
  type ServerConfig,
} from "../../src/cli/index.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "quorate-settings-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

interface Loaded {
  readonly config: ServerConfig;
  /** "warn message {fields}" of each notice. */
  readonly notices: readonly string[];
}

function load(args: readonly string[], environment: Record<string, string> = {}): Loaded {
  const line = parseArguments(args);
  if (line.kind === "help") {
    throw new Error("help was asked for");
  }
  const { config, notices } = buildConfig(collectSettings(line.flags, environment), false);
  return {
    config,
    notices: notices.map(
      ({ level, message, fields }) => `${level} ${message} ${JSON.stringify(fields)}`,
    ),
  };
}

/** The message and exit code of the ConfigError that loading gives. */
function refusal(args: readonly string[], environment: Record<string, string> = {}): string {
  try {
    load(args, environment);
  } catch (error) {
    if (error instanceof ConfigError) {
      return `${error.exitCode}: ${error.message}`;
    }
    throw error;
  }
  return "accepted";
}

describe("arguments", () => {
  it.each([
    [["--name=a"]],
    [["--name", "a"]],
    [["-name=a"]],
    [["-name", "a"]],
    [["--name=b", "--name=a"]],
  ])("reads %j as Go does", (args) => {
    expect(load(args).config.name).toBe("a");
  });

  it("reads booleans without a value, and every text Go takes for one", () => {
    // A flag that is only known tells by its warning that something else than true was asked for.
    const warnings = (...args: string[]): number => load([...args, "--data-dir=d"]).notices.length;
    expect(warnings("--pre-vote")).toBe(0);
    for (const text of ["1", "t", "T", "TRUE", "true", "True"]) {
      expect(warnings(`--pre-vote=${text}`)).toBe(0);
    }
    for (const text of ["0", "f", "F", "FALSE", "false", "False"]) {
      expect(warnings(`--pre-vote=${text}`)).toBe(1);
    }
    expect(refusal(["--pre-vote=no"])).toBe(
      '2: invalid value "no" for --pre-vote: expected true or false',
    );
    // As in Go, a boolean never takes the next argument.
    expect(refusal(["--pre-vote", "false"])).toBe('2: "false" is not a valid flag');
  });

  it("keeps an equals sign in a value", () => {
    const { config } = load([
      "--initial-cluster=a=http://10.0.0.1:2380",
      "--name=a",
      "--initial-advertise-peer-urls=http://10.0.0.1:2380",
    ]);
    expect(config.initialCluster).toEqual([{ name: "a", peerUrls: ["http://10.0.0.1:2380"] }]);
  });

  it.each([
    [
      ["--lisen-client-urls=x"],
      "2: unknown flag --lisen-client-urls (did you mean --listen-client-urls?)",
    ],
    [["--nmae", "x"], "2: unknown flag --nmae (did you mean --name?)"],
    [["--qqqqqqqqqqqq"], "2: unknown flag --qqqqqqqqqqqq (see --help)"],
    [["serve"], '2: "serve" is not a valid flag'],
    [["--"], '2: "--" is not a valid flag'],
    [["--name"], "2: flag needs an argument: --name"],
  ])("refuses %j", (args, message) => {
    expect(refusal(args)).toBe(message);
  });

  it("accepts etcd's legacy names, and experimental names of 3.6", () => {
    const { notices, config } = load([
      "--cluster-active-size=3",
      "--experimental-initial-corrupt-check=true",
      "--experimental-watch-progress-notify-interval=5s",
      "--data-dir=d",
    ]);
    const ignored = "warn flag accepted and ignored: it has no meaning";
    expect(notices).toEqual([`${ignored} {"flag":"cluster-active-size"}`]);
    expect(config.featureGates.get("InitialCorruptCheck")).toBe(true);
    expect(config.watchProgressNotifyIntervalMs).toBe(5000);
  });

  it("takes feature gates, alone, together and by their former flags", () => {
    const gatesOf = (...args: string[]): Record<string, boolean> =>
      Object.fromEntries(load([...args, "--data-dir=d"]).config.featureGates);
    const all = gatesOf("--feature-gates=InitialCorruptCheck=true,AutoPromoteLearners=true");
    expect(all).toMatchObject({ InitialCorruptCheck: true, AutoPromoteLearners: true });
    expect(gatesOf("--feature-gates=AllAlpha=true,InitialCorruptCheck=false")).toMatchObject({
      InitialCorruptCheck: false,
      AutoPromoteLearners: true,
    });
    // A boolean without a value does not take the next argument.
    const former = load(["--experimental-initial-corrupt-check", "--name=a"]).config;
    expect(former.name).toBe("a");
    expect(former.featureGates.get("InitialCorruptCheck")).toBe(true);
    const off = load(["--feature-gates=CompactHashCheck=false"]).config;
    expect(off.compactHashCheckMs).toBe(0);
    expect(
      load([], { ETCD_EXPERIMENTAL_COMPACT_HASH_CHECK_ENABLED: "false" }).config.compactHashCheckMs,
    ).toBe(0);
    expect(load([], { ETCD_EXPERIMENTAL_CORRUPT_CHECK_TIME: "1h" }).config.corruptCheckMs).toBe(
      3_600_000,
    );
    const ignored = load(["--feature-gates=LeaseCheckpoint=false", "--data-dir=d"]).notices;
    expect(ignored).toEqual([
      'warn feature gate accepted and ignored {"gate":"LeaseCheckpoint","reason":' +
        '"Remaining TTLs are always replicated."}',
    ]);
  });

  it.each([
    [["--feature-gates=X=true"], "1: unrecognized feature gate: X"],
    [["--feature-gates=InitialCorruptCheck"], "1: missing bool value for InitialCorruptCheck"],
    [
      ["--feature-gates=InitialCorruptCheck=maybe"],
      "1: invalid value of InitialCorruptCheck=maybe, err: not a boolean",
    ],
    [
      ["--feature-gates=InitialCorruptCheck=true", "--experimental-initial-corrupt-check=true"],
      "1: cannot specify both flags: --experimental-initial-corrupt-check=true and " +
        '--feature-gates="InitialCorruptCheck=true", please just use --feature-gates',
    ],
  ])("refuses the gates of %j", (args, message) => {
    expect(refusal(args)).toBe(message);
  });

  it("warns of flags without effect, but not when they ask for what is so anyway", () => {
    expect(load(["--pre-vote=true", "--max-wals=5", "--data-dir=d"]).notices).toEqual([]);
    const { notices } = load(["--pre-vote=false", "--enable-pprof", "--data-dir=d"]);
    expect(notices.map((line) => line.split(" {")[0])).toEqual([
      "warn flag accepted and ignored",
      "warn flag accepted and ignored",
    ]);
  });

  it("warns where the log cannot go", () => {
    const { notices, config } = load(["--log-outputs=systemd/journal", "--data-dir=d"]);
    expect(config.log.outputs).toEqual(["stderr"]);
    expect(notices[0]).toContain("no way to the journal but standard error");
  });

  it("refuses to start with less than was asked for", () => {
    expect(refusal(["--discovery=https://discovery.example/x"])).toMatch(
      /^1: --discovery cannot be used: Version 2 of discovery/,
    );
    expect(refusal(["--discovery-token=x"])).toBe(
      "1: both --discovery-endpoints and --discovery-token must be set",
    );
    const both = ["--discovery-token=x", "--discovery-endpoints=a:1", "--initial-cluster=a=b"];
    expect(refusal(both)).toContain("multiple discovery or bootstrap flags are set");
    expect(refusal(["--discovery-token="])).toBe("accepted");
  });
});

describe("variables", () => {
  it("are the flag's name in capitals, under either prefix", () => {
    expect(load([], { ETCD_NAME: "a" }).config.name).toBe("a");
    expect(load([], { QUORATE_NAME: "a" }).config.name).toBe("a");
    expect(load([], { QUORATE_HEARTBEAT_INTERVAL: "50" }).config.heartbeatIntervalMs).toBe(50);
    expect(load([], { ETCD_NAME: "" }).config.name).toBe("default");
  });

  it("conflict with the flag, as in etcd, and with each other", () => {
    expect(refusal(["--name=a"], { ETCD_NAME: "a" })).toBe(
      "1: conflicting environment variable ETCD_NAME is shadowed by --name (unset one of them)",
    );
    expect(refusal([], { ETCD_NAME: "a", QUORATE_NAME: "b" })).toBe(
      "1: conflicting environment variable ETCD_NAME is shadowed by QUORATE_NAME (unset one of them)",
    );
  });

  it("are only warned about when unknown", () => {
    const { notices } = load(["--data-dir=d"], { ETCD_NMAE: "a", QUORATE_PORT: "x", PATH: "/" });
    expect(notices).toEqual([
      'warn unrecognized environment variable {"environment-variable":"ETCD_NMAE"}',
      'warn unrecognized environment variable {"environment-variable":"QUORATE_PORT"}',
    ]);
  });

  it("are named when their value is wrong", () => {
    expect(refusal([], { ETCD_ELECTION_TIMEOUT: "1s" })).toBe(
      '1: invalid value "1s" for ETCD_ELECTION_TIMEOUT: ' +
        "expected a whole number that is not negative",
    );
  });
});

describe("the configuration file", () => {
  it("takes etcd's keys and forms", () => {
    const path = file(
      "full.yml",
      `name: a
data-dir: /var/lib/a
heartbeat-interval: 50
initial-cluster: a=http://127.0.0.1:2380
initial-advertise-peer-urls: http://127.0.0.1:2380
watch-progress-notify-interval: 60000000000
auto-compaction-mode: periodic
auto-compaction-retention: "1"
log-outputs: [stderr, /tmp/a.log]
cors:
client-transport-security:
  cert-file:
  client-cert-auth: false
`,
    );
    const { config } = load(["--config-file", path]);
    expect(config).toMatchObject({
      name: "a",
      dataDir: "/var/lib/a",
      heartbeatIntervalMs: 50,
      watchProgressNotifyIntervalMs: 60_000,
      autoCompaction: { kind: "periodic", retentionMs: 3_600_000 },
      log: { outputs: ["stderr", "/tmp/a.log"] },
    });
  });

  it("may be JSON, and may be empty", () => {
    expect(load(["--config-file", file("a.json", '{"name": "a"}')]).config.name).toBe("a");
    expect(load(["--config-file", file("empty.yml", "")]).config.name).toBe("default");
  });

  it("loses to flags and QUORATE_ variables, and silences ETCD_ variables", () => {
    const path = file("name.yml", "name: file\n");
    expect(load(["--config-file", path, "--name=flag"]).config.name).toBe("flag");
    expect(load(["--config-file", path], { QUORATE_NAME: "variable" }).config.name).toBe(
      "variable",
    );
    expect(load([], { ETCD_CONFIG_FILE: path }).config.name).toBe("file");
    const { config, notices } = load(["--config-file", path], { ETCD_NAME: "variable" });
    expect(config.name).toBe("file");
    expect(notices[0]).toContain("variable ignored: there is a configuration file");
  });

  it.each([
    ["nmae: a", "unknown key nmae (did you mean name?)"],
    [
      "peer-transport-security: {cert-fil: x}",
      "unknown key peer-transport-security.cert-fil (did you mean cert-file?)",
    ],
    ["- a", "expected keys and values"],
    ["name: {a: b}", "name: expected one value or a list of texts"],
    ["name: [", "Flow sequence in block collection must be sufficiently indented"],
    ["config-file: x", "unknown key config-file"],
  ])("refuses %j", (text, message) => {
    const path = file("bad.yml", text);
    expect(refusal(["--config-file", path])).toContain(`1: ${path}: ${message}`);
  });

  it("names file and key when a value is wrong or cannot be used", () => {
    const path = file("value.yml", "election-timeout: soon\n");
    expect(refusal(["--config-file", path])).toBe(
      `1: invalid value "soon" for ${path}: election-timeout: ` +
        "expected a whole number that is not negative",
    );
    const old = file("old.yml", "discovery: https://discovery.example/x\n");
    expect(refusal(["--config-file", old])).toContain(`${old}: discovery cannot be used`);
  });

  it("says so when it cannot be read", () => {
    expect(refusal(["--config-file", join(folder, "none.yml")])).toContain(
      "1: cannot read the configuration file: ENOENT",
    );
  });
});

it.each([
  ["name: *nobody", /Unresolved alias/],
  ["name: [a", /flow/i],
])("a file that is not whole YAML is refused by its path: %s", (text, reason) => {
  const path = file("broken.yaml", text);
  const read = (): unknown =>
    collectSettings(new Map([["config-file", { text: path, origin: "--config-file" }]]), {});
  expect(read).toThrow(ConfigError);
  expect(read).toThrow(reason);
});
