// A node in the process of whoever calls: on disk and in memory, with ports of its own choice, and
// without a word to the process.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLogger, StorageError } from "../../src/base/index.ts";
import { buildConfig, collectSettings, parseArguments } from "../../src/cli/index.ts";
import {
  configOf,
  EmbeddedNode,
  type NodeOptions,
  startNode,
  startServer,
} from "../../src/server/index.ts";
import { MemoryDisk } from "../../src/storage/index.ts";
import type {
  DataDirectory,
  MemberDisk,
  NewDataDirectory,
  WalBatch,
} from "../../src/storage/index.ts";
import { CertificateFolder } from "../support/certificates.ts";
import { KvClient } from "../support/kv-client.ts";
import { freePorts } from "../support/ports.ts";
import { withTimeout } from "../support/processes.ts";

let directory = "";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "quorate-embed-"));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

/** Memory that can be made to fail. */
class FailingDisk implements MemberDisk {
  readonly name = "a failing disk";
  readonly #disk = new MemoryDisk();
  fails = false;

  hasData(): Promise<boolean> {
    return this.#disk.hasData();
  }

  create(contents: NewDataDirectory): Promise<void> {
    return this.#disk.create(contents);
  }

  async open(): Promise<DataDirectory> {
    const directory = await this.#disk.open();
    const { wal } = directory;
    const append = (batch: WalBatch): Promise<void> =>
      this.fails ? Promise.reject(new StorageError("the disk is gone")) : wal.append(batch);
    return {
      wal: {
        append,
        markSnapshot: (meta, keepFrom) => wal.markSnapshot(meta, keepFrom),
        sizeBytes: () => wal.sizeBytes(),
        writtenBytes: () => wal.writtenBytes(),
        close: () => wal.close(),
      },
      recovered: directory.recovered,
      engine: directory.engine,
      receive: (meta, chunks) => directory.receive(meta, chunks),
      close: () => directory.close(),
    };
  }
}

async function withClient<T>(url: string, run: (client: KvClient) => Promise<T>): Promise<T> {
  const client = new KvClient(url.replace("http://", ""));
  try {
    return await run(client);
  } finally {
    client.close();
  }
}

async function valueOf(url: string, key: string): Promise<string | undefined> {
  const reply = await withClient(url, (client) => client.range({ key: Buffer.from(key) }));
  const value = reply.kvs[0]?.value;
  return value === undefined ? undefined : Buffer.from(value).toString();
}

describe("startNode", () => {
  it("serves from memory on a port of its own choice, without touching the process", async () => {
    const signals = ["SIGINT", "SIGTERM", "uncaughtException", "unhandledRejection"] as const;
    const listeners = (): number[] => signals.map((name) => process.listenerCount(name));
    const before = [listeners(), process.umask()];
    await using node = await startNode({ memory: true });
    expect([listeners(), process.umask()]).toEqual(before);
    expect(node.clientUrl).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
    expect(node.peerUrls[0]).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
    await withClient(node.clientUrl, (client) => client.put("a", "1", 10_000));
    expect(await valueOf(node.clientUrl, "a")).toBe("1");
    expect(node.status()).toMatchObject({ name: "default", isLeader: true, revision: 2 });
    const version = await fetch(`${node.clientUrl}/version`);
    expect(await version.json()).toMatchObject({ etcdserver: "3.6.14" });
  });

  it("tells clients and members the ports that it got", async () => {
    await using node = await startNode({ memory: true, name: "one" });
    const reply = await fetch(`${node.clientUrl}/v3/cluster/member/list`, {
      method: "POST",
      body: "{}",
    });
    expect(await reply.json()).toMatchObject({
      members: [{ name: "one", clientURLs: [node.clientUrl], peerURLs: node.peerUrls }],
    });
  });

  it("keeps its data in a directory, and follows its ports from start to start", async () => {
    const dataDir = join(directory, "deep", "data");
    const first = await startNode({ dataDir });
    await withClient(first.clientUrl, (client) => client.put("a", "kept", 10_000));
    await first.close();
    await first.close();
    await using second = await startNode({ dataDir });
    expect(await valueOf(second.clientUrl, "a")).toBe("kept");
    const reply = await fetch(`${second.clientUrl}/v3/cluster/member/list`, {
      method: "POST",
      body: "{}",
    });
    expect(await reply.json()).toMatchObject({
      members: [{ clientURLs: [second.clientUrl], peerURLs: second.peerUrls }],
    });
    await expect(startNode({ dataDir })).rejects.toThrow("is in use by process");
  });

  it("forms a cluster", async () => {
    const ports = await freePorts(3);
    const members = Object.fromEntries(
      ports.map((port, i) => [`n${i}`, `http://127.0.0.1:${port}`]),
    );
    const nodes = await Promise.all(
      Object.entries(members).map(([name, peerUrls]) =>
        startNode({ name, memory: true, peerUrls, cluster: { members } }),
      ),
    );
    await withClient(nodes[0]?.clientUrl ?? "", (client) => client.put("a", "1", 10_000));
    expect(await valueOf(nodes[2]?.clientUrl ?? "", "a")).toBe("1");
    await Promise.all(nodes.map((node) => node.close()));
  });

  it("stops waiting for the others when it is told to, and can be started again", async () => {
    const [own, other] = (await freePorts(2)).map((port) => `http://127.0.0.1:${port}`);
    const members = { a: own ?? "", b: other ?? "" };
    const dataDir = join(directory, "waiting");
    const options = { name: "a", dataDir, peerUrls: own, cluster: { members } };
    for (let attempt = 0; attempt < 2; attempt++) {
      const signal = AbortSignal.timeout(500);
      await expect(startNode({ ...options, signal })).rejects.toThrow(/timeout/);
    }
  });

  it("encrypts", async () => {
    using certificates = new CertificateFolder();
    const authority = certificates.authority("embedders");
    const { certFile, keyFile } = authority.leaf("node");
    const tls = { certFile, keyFile };
    await using node = await startNode({
      memory: true,
      clientUrls: "https://127.0.0.1:0",
      tls: { client: tls },
    });
    expect(node.clientUrl).toMatch(/^https:/);
    await expect(startNode({ memory: true, clientUrls: "https://127.0.0.1:0" })).rejects.toThrow(
      "clientUrls: https://127.0.0.1:0 needs tls.client",
    );
    await expect(
      startNode({ memory: true, tls: { client: { ...tls, keyFile: "/none.pem" } } }),
    ).rejects.toThrow("tls.client.keyFile: cannot read /none.pem: no such file");
  });

  it("says what stopped it, and leaves the process alone", async () => {
    const disk = new FailingDisk();
    const config = configOf({ memory: true });
    const server = await startServer(config, silentLogger, { disk });
    await using node = new EmbeddedNode("default", server);
    disk.fails = true;
    const put = withClient(node.clientUrl, (client) => client.put("a", "1", 20_000));
    const outcome = put.then(
      () => "acknowledged",
      () => "refused",
    );
    const error = await withTimeout(node.failed, 10_000, () => "it did not fail");
    expect(error.message).toBe("the disk is gone");
    await node.close();
    expect(await outcome).toBe("refused");
  });
});

describe("options", () => {
  it("have the defaults of the command", () => {
    const line = parseArguments([]);
    if (line.kind === "help") {
      throw new Error("help was asked for");
    }
    const {
      log: _log,
      discoverySrv: _srv,
      ...command
    } = buildConfig(collectSettings(line.flags, {}), false).config;
    const embedded = configOf({
      dataDir: "default.etcd",
      clientUrls: "http://127.0.0.1:2379",
      peerUrls: "http://127.0.0.1:2380",
      advertiseClientUrls: "http://localhost:2379",
      advertisePeerUrls: "http://localhost:2380",
    });
    expect(embedded).toEqual(command);
  });

  it.each<[NodeOptions, string]>([
    [{}, "needs one of dataDir and memory: true"],
    [{ dataDir: "a", memory: true }, "and not both"],
    [{ dataDir: "" }, "dataDir must not be empty"],
    [{ memory: true, clientUrls: "127.0.0.1:1" }, "clientUrls: URL scheme must be http"],
    [{ memory: true, clientUrls: "http://example.com:1" }, "clientUrls: expected IP in URL"],
    [
      { memory: true, peerUrls: "http://127.0.0.1" },
      "peerUrls: URL address does not have the form",
    ],
    [{ memory: true, heartbeatIntervalMs: 300 }, "electionTimeoutMs[1000ms] should be at least"],
    [{ memory: true, quotaBytes: 0 }, "quotaBytes must be above 0"],
    [{ memory: true, memoryBudgetBytes: 5 }, "memoryBudgetBytes must be at least"],
    [
      { memory: true, cluster: { members: { b: "http://127.0.0.1:1" } } },
      'hold this member, "default"',
    ],
    [
      {
        memory: true,
        cluster: { members: { default: "http://127.0.0.1:0", b: "http://127.0.0.1:1" } },
      },
      "peerUrls must name the port",
    ],
    [{ memory: true, port: 1 } as unknown as NodeOptions, 'no option "port"; it has name, dataDir'],
  ])("%j are refused", (options, message) => {
    expect(() => configOf(options)).toThrow(message);
  });

  it("are refused by startNode, also for what is found when it starts", async () => {
    const foreign = join(directory, "foreign");
    await writeFile(foreign, "");
    await expect(startNode({ dataDir: foreign })).rejects.toThrow("foreign");
    await using holder = await startNode({ memory: true });
    await expect(startNode({ memory: true, clientUrls: holder.clientUrl })).rejects.toThrow(
      /EADDRINUSE|in use/,
    );
    expect(await withTimeout(valueOf(holder.clientUrl, "a"), 10_000, () => "late")).toBeUndefined();
  });
});
