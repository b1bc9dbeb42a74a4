// Servers that must not start: each says why in one line that names the cause, exits with a code
// that is not zero, and leaves everything as it was.

import { readdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePorts } from "../support/ports.ts";
import { ClusterProcesses, type MemberProcess } from "../support/processes.ts";
import { bytes, RawClient } from "./raw-client.ts";
import { listing, start } from "./start-failure.ts";

function urls(clientPort: number, peerPort: number): string[] {
  return [
    `--listen-client-urls=http://127.0.0.1:${clientPort}`,
    `--advertise-client-urls=http://127.0.0.1:${clientPort}`,
    `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-cluster=default=http://127.0.0.1:${peerPort}`,
  ];
}

describe.concurrent("settings", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "quorate-bad-"));
    writeFileSync(join(folder, "broken.yml"), "name: [unclosed\n");
    writeFileSync(join(folder, "unknown.yml"), "name: a\nlisten-cleint-urls: http://127.0.0.1:1\n");
    writeFileSync(join(folder, "file"), "not a directory");
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const cases: readonly (readonly [string, readonly string[], string])[] = [
    ["an unknown flag", ["--data-dri=x"], "--data-dri"],
    ["a flag without its value", ["--name"], "--name"],
    ["an argument that is no flag", ["serve"], "serve"],
    ["a number that is none", ["--heartbeat-interval=fast"], "--heartbeat-interval"],
    ["a boolean that is none", ["--pre-vote=maybe"], "--pre-vote"],
    ["a duration that is none", ["--grpc-keepalive-interval=soon"], "--grpc-keepalive-interval"],
    ["an election timeout too short", ["--election-timeout=200"], "--election-timeout"],
    ["a URL without a scheme", ["--listen-client-urls=localhost:2379"], "--listen-client-urls"],
    ["a URL without a port", ["--listen-peer-urls=http://127.0.0.1"], "--listen-peer-urls"],
    ["a URL with a path", ["--listen-peer-urls=http://127.0.0.1:1/x"], "--listen-peer-urls"],
    ["a port that is none", ["--listen-client-urls=http://127.0.0.1:99999"], "99999"],
    ["a name that cannot be bound", ["--listen-client-urls=http://example.com:1"], "example.com"],
    ["a cluster without this member", ["--initial-cluster=a=http://127.0.0.1:1"], "default"],
    [
      "a peer URL that differs from the cluster's",
      [
        "--initial-advertise-peer-urls=http://127.0.0.1:7",
        "--initial-cluster=default=http://127.0.0.1:8",
      ],
      "--initial-",
    ],
    ["a state that is none", ["--initial-cluster-state=old"], "--initial-cluster-state"],
    ["a mode that is none", ["--auto-compaction-mode=daily"], "--auto-compaction-mode"],
    ["a file that is not there", ["--config-file=/none/here.yml"], "/none/here.yml"],
    ["a file that is not YAML", ["--config-file=FOLDER/broken.yml"], "broken.yml"],
    ["a file with an unknown key", ["--config-file=FOLDER/unknown.yml"], "listen-cleint-urls"],
    ["TLS without its files", ["--listen-client-urls=https://127.0.0.1:1"], "--cert-file"],
    [
      "a certificate that is not there",
      ["--cert-file=/none.crt", "--key-file=/none.key"],
      "/none.crt",
    ],
    ["a data directory that is a file", ["--data-dir=FOLDER/file"], "FOLDER/file"],
  ];

  test.each(cases)("%s", async (name, args, cause) => {
    const [clientPort = 0, peerPort = 0] = await freePorts(2);
    const here = (text: string): string => text.replaceAll("FOLDER", folder);
    const data = join(folder, name.replaceAll(" ", "-"));
    const given = args.map((arg) => here(arg));
    const own = new Set(given.map((arg) => arg.split("=")[0]));
    const defaults = [`--data-dir=${data}`, ...urls(clientPort, peerPort)];
    // A file silences what it does not set, so a server with one gets nothing but it.
    const rest = own.has("--config-file")
      ? [`--data-dir=${data}`]
      : defaults.filter((arg) => !own.has(arg.split("=")[0] ?? ""));
    const before = listing(folder);
    const { exit, complaints } = await start([...rest, ...given]);
    expect(exit).toBeGreaterThan(0);
    expect(complaints).toHaveLength(1);
    expect(complaints[0]).toContain(here(cause));
    expect(listing(folder)).toEqual(before);
  });

  test("a variable with a wrong value", async () => {
    const data = join(folder, "variable");
    const { exit, complaints } = await start([`--data-dir=${data}`], {
      ETCD_SNAPSHOT_COUNT: "many",
    });
    expect(exit).toBeGreaterThan(0);
    expect(complaints).toHaveLength(1);
    expect(complaints[0]).toContain("ETCD_SNAPSHOT_COUNT");
    expect(readdirSync(folder)).not.toContain("variable");
  });
});

describe("a place that is taken", () => {
  let cluster: ClusterProcesses;
  let member: MemberProcess;
  let busy: Server;
  let busyPort = 0;
  let folder = "";
  beforeAll(async () => {
    cluster = await ClusterProcesses.start(1);
    [member] = cluster.members as [MemberProcess];
    [busyPort = 0] = await freePorts(1);
    busy = createServer().listen(busyPort, "127.0.0.1");
    folder = await mkdtemp(join(tmpdir(), "quorate-bad-"));
    using client = new RawClient(member.endpoint);
    await client.call("put", { key: bytes("kept"), value: bytes("1") });
  });
  afterAll(async () => {
    busy.close();
    await cluster[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  async function refused(args: readonly string[], ...words: string[]): Promise<void> {
    const { exit, complaints } = await start(args);
    expect(exit).toBeGreaterThan(0);
    expect(complaints).toHaveLength(1);
    for (const word of words) {
      expect(complaints[0]).toContain(word);
    }
  }

  test("a port of another program", async () => {
    const [free = 0] = await freePorts(1);
    const data = (name: string): string => `--data-dir=${join(folder, name)}`;
    await refused([data("a"), ...urls(busyPort, free)], `127.0.0.1:${busyPort}`, "in use");
    await refused([data("b"), ...urls(free, busyPort)], `127.0.0.1:${busyPort}`, "in use");
    expect(readdirSync(folder)).toEqual([]);
  });

  test("a data directory in use, and one of another cluster", async () => {
    const { dataDirectory, name } = member.options;
    const [clientPort = 0, otherPort = 0] = await freePorts(2);
    const data = `--data-dir=${dataDirectory}`;
    const of = (ownName: string, port: number): string[] => [
      data,
      `--name=${ownName}`,
      ...urls(clientPort, port).slice(0, 4),
      `--initial-cluster=${ownName}=http://127.0.0.1:${port}`,
    ];
    using client = new RawClient(member.endpoint);
    const before = await client.call("hashKv");
    await refused(of(name, otherPort), dataDirectory, "in use");
    await member.stop("SIGTERM");
    await refused(of(name, otherPort), dataDirectory, "belongs to another cluster");
    await member.start();
    const after = await client.call("hashKv");
    expect(after.hash).toBe(before.hash);
    expect([after.header?.clusterId, after.header?.memberId]).toEqual([
      before.header?.clusterId,
      before.header?.memberId,
    ]);
    expect((await client.call("range", { key: bytes("kept") })).kvs[0]?.version).toBe(1);
  });
});
