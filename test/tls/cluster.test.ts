// Members with certificates, as processes: they find each other over TLS, take no strangers, and
// serve etcdctl and curl.

import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Authority, CertificateFolder, type Leaf } from "../support/certificates.ts";
import { freePorts } from "../support/ports.ts";
import { MemberProcess } from "../support/processes.ts";

const run = promisify(execFile);

let folder: CertificateFolder;
let ca: Authority;
let members: MemberProcess[];

beforeEach(() => {
  folder = new CertificateFolder();
  ca = folder.authority("ca");
  members = [];
});
afterEach(async () => {
  await Promise.all(members.map((member) => member.stop("SIGKILL")));
  folder[Symbol.dispose]();
});

/** Members that only know each other by https, with what flags each one has of its own. */
async function makeMembers(
  size: number,
  flagsOf: (name: string) => readonly string[],
): Promise<MemberProcess[]> {
  const ports = await freePorts(size * 2);
  const names = Array.from({ length: size }, (_, i) => `node${i + 1}`);
  const peerUrl = (i: number): string => `https://127.0.0.1:${ports[size + i]}`;
  const initialCluster = names.map((name, i) => `${name}=${peerUrl(i)}`).join(",");
  members = names.map(
    (name, i) =>
      new MemberProcess({
        name,
        clientPort: ports[i] ?? 0,
        peerPort: ports[size + i] ?? 0,
        dataDirectory: join(folder.path, `data-${name}`),
        flags: [
          `--listen-peer-urls=${peerUrl(i)}`,
          `--initial-advertise-peer-urls=${peerUrl(i)}`,
          `--initial-cluster=${initialCluster}`,
          ...flagsOf(name),
        ],
      }),
  );
  return members;
}

/** The last one of a flag counts. */
function addFlags(member: MemberProcess | undefined, ...flags: readonly string[]): void {
  (member?.options.flags as string[] | undefined)?.push(...flags);
}

function peerFlags(leaf: Leaf, authority = ca): string[] {
  return [
    `--peer-cert-file=${leaf.certFile}`,
    `--peer-key-file=${leaf.keyFile}`,
    `--peer-trusted-ca-file=${authority.caFile}`,
    "--peer-client-cert-auth",
  ];
}

function clientFlags(): string[] {
  const { certFile, keyFile } = ca.leaf("server");
  return [`--cert-file=${certFile}`, `--key-file=${keyFile}`];
}

async function logged(member: MemberProcess | undefined, text: string): Promise<void> {
  const endMs = performance.now() + 15_000;
  while (!(member?.log.includes(text) ?? false)) {
    if (performance.now() > endMs) {
      throw new Error(`not logged: ${text}\n${member?.log}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function etcdctl(...args: string[]): Promise<string> {
  const { stdout } = await run("etcdctl", args, {
    timeout: 15_000,
    env: { ...process.env, ETCDCTL_API: "3" },
  });
  return stdout;
}

describe("between members", () => {
  it("TLS carries a cluster, and etcdctl and curl reach it with certificates", async () => {
    const client = ca.leaf("alice");
    const cluster = await makeMembers(3, (name) => [
      ...peerFlags(ca.leaf(name, { commonName: "member" })),
      "--peer-cert-allowed-cn=member",
      ...clientFlags(),
      `--trusted-ca-file=${ca.caFile}`,
      "--client-cert-auth",
    ]);
    for (const member of cluster) {
      const url = `https://${member.endpoint}`;
      addFlags(member, `--listen-client-urls=${url}`, `--advertise-client-urls=${url}`);
    }
    await Promise.all(cluster.map((member) => member.start()));
    const endpoints = cluster.map((member) => `https://${member.endpoint}`);
    const certificates = [`--cacert=${ca.caFile}`, `--cert=${client.certFile}`];
    const ctl = (...args: string[]): Promise<string> =>
      etcdctl(...certificates, `--key=${client.keyFile}`, ...args);
    expect(await ctl(`--endpoints=${endpoints[0]}`, "put", "a", "1")).toBe("OK\n");
    expect(await ctl(`--endpoints=${endpoints[1]}`, "get", "a")).toBe("a\n1\n");
    expect(await ctl(`--endpoints=${endpoints.join(",")}`, "endpoint", "health")).not.toContain(
      "unhealthy",
    );
    await expect(
      etcdctl(
        `--endpoints=${endpoints[0]}`,
        `--cacert=${ca.caFile}`,
        "--command-timeout=2s",
        "get",
        "a",
      ),
    ).rejects.toThrow();
    await logged(cluster[0], "no client certificate");

    const curl = async (...args: string[]): Promise<string> => {
      const pair = ["--cert", client.certFile, "--key", client.keyFile];
      return (await run("curl", ["-sS", "--cacert", ca.caFile, ...pair, ...args])).stdout;
    };
    const format = ["-w", " %{http_version}"];
    expect(await curl("--http2", ...format, `${endpoints[2]}/health`)).toBe(
      '{"health":"true","reason":""} 2',
    );
    expect(await curl("--http1.1", ...format, `${endpoints[2]}/readyz`)).toBe("ok\n 1.1");
    expect(await curl("-d", '{"key":"YQ=="}', `${endpoints[2]}/v3/kv/range`)).toContain(
      '"value":"MQ=="',
    );
    await expect(
      run("curl", ["-sS", "--cacert", ca.caFile, `${endpoints[2]}/health`]),
    ).rejects.toThrow();
    for (const member of cluster) {
      expect(member.log).not.toContain("PRIVATE KEY");
    }
  }, 60_000);

  it("a member with another's certificate stays out until it has the right one", async () => {
    const foreign = folder.authority("foreign");
    const wrong = foreign.leaf("node3", { commonName: "member" });
    const [one, two, three] = await makeMembers(3, (name) =>
      name === "node3"
        ? peerFlags(wrong)
        : [...peerFlags(ca.leaf(name, { commonName: "member" })), "--peer-cert-allowed-cn=member"],
    );
    const isIn = three?.start({ waitMs: 55_000 });
    await Promise.all([one?.start(), two?.start()]);
    await logged(one, '"msg":"rejected connection on peer endpoint"');
    expect(one?.log).toContain("client certificate not trusted");
    ca.leaf("node3", { commonName: "intruder" });
    await logged(one, "common name intruder not allowed");
    expect(three?.log).not.toContain("ready to serve client requests");
    ca.leaf("node3", { commonName: "member" });
    await isIn;
    expect(three?.log).toContain("reloaded TLS certificates");
    expect(await etcdctl(`--endpoints=${three?.endpoint}`, "put", "a", "1")).toBe("OK\n");
  }, 90_000);

  it("a member may join over https; one that calls from elsewhere is refused", async () => {
    const cluster = await makeMembers(2, (name) => peerFlags(ca.leaf(name)));
    const [one, two] = cluster;
    const url = (member: MemberProcess | undefined): string =>
      `https://127.0.0.1:${member?.options.peerPort}`;
    addFlags(one, `--initial-cluster=node1=${url(one)}`);
    addFlags(two, "--initial-cluster-state=existing");
    await one?.start();
    const added = await etcdctl(
      `--endpoints=${one?.endpoint}`,
      "member",
      "add",
      "node2",
      `--peer-urls=${url(two)}`,
    );
    expect(added).toContain("added to cluster");
    ca.leaf("node2", { hosts: ["192.0.2.1"] });
    const failed = await two?.start().then(
      () => "it started",
      (error: unknown) => String(error),
    );
    expect(failed).toContain("could not fetch cluster information from peer URLs");
    await logged(one, "certificate is not valid for 127.0.0.1");
    ca.leaf("node2");
    await two?.start();
    expect(await etcdctl(`--endpoints=${two?.endpoint}`, "put", "a", "1")).toBe("OK\n");
  }, 90_000);

  it("certificates of their own making do for members and clients", async () => {
    const cluster = await makeMembers(3, () => ["--peer-auto-tls", "--auto-tls"]);
    const [one] = cluster;
    const both = `https://${one?.endpoint},http://${one?.endpoint}`;
    addFlags(one, `--listen-client-urls=${both}`);
    await Promise.all(cluster.map((member) => member.start()));
    const made = join(one?.options.dataDirectory ?? "", "fixtures/client/cert.pem");
    expect(existsSync(made)).toBe(true);
    const secure = [`--endpoints=https://${one?.endpoint}`, `--cacert=${made}`];
    const curled = await run("curl", ["-sS", "--cacert", made, `https://${one?.endpoint}/health`]);
    expect(curled.stdout).toContain('"health":"true"');
    expect(await etcdctl(`--endpoints=http://${one?.endpoint}`, "put", "a", "1")).toBe("OK\n");
    await one?.stop();
    await one?.start();
    expect(one?.log.match(/automatically generate certificates/g)).toHaveLength(2);
    expect(await etcdctl(...secure, "get", "a")).toBe("a\n1\n");
  }, 60_000);
});

describe("a member alone", () => {
  async function alone(...flags: string[]): Promise<MemberProcess> {
    return make(flags);
  }

  async function make(
    flags: readonly string[],
    environment?: Readonly<Record<string, string>>,
  ): Promise<MemberProcess> {
    const [clientPort = 0, peerPort = 0] = await freePorts(2);
    const member = new MemberProcess({
      name: "solo",
      clientPort,
      peerPort,
      dataDirectory: join(folder.path, "data"),
      flags: [`--initial-cluster=solo=http://127.0.0.1:${peerPort}`, ...flags],
      environment,
    });
    members.push(member);
    return member;
  }

  async function statusOf(...args: string[]): Promise<string> {
    const { stdout } = await run("curl", ["-sS", "-o", "/dev/null", "-w", "%{http_code}", ...args]);
    return stdout;
  }

  it("serves HTTP and metrics at addresses of their own", async () => {
    const [http, metrics, secure] = await freePorts(3);
    const member = await alone(
      `--listen-client-http-urls=http://127.0.0.1:${http}`,
      `--listen-metrics-urls=http://127.0.0.1:${metrics},https://127.0.0.1:${secure}`,
      ...clientFlags(),
    );
    await member.start();
    expect(await etcdctl(`--endpoints=${member.endpoint}`, "put", "a", "1")).toBe("OK\n");
    await expect(statusOf(`http://${member.endpoint}/health`)).rejects.toThrow();
    expect(await statusOf(`http://127.0.0.1:${http}/health`)).toBe("200");
    expect(await statusOf("--http2-prior-knowledge", `http://127.0.0.1:${http}/version`)).toBe(
      "200",
    );
    expect(await statusOf("-d", "{}", `http://127.0.0.1:${http}/v3/maintenance/status`)).toBe(
      "200",
    );
    await expect(
      etcdctl(
        "--dial-timeout=1s",
        "--command-timeout=2s",
        `--endpoints=127.0.0.1:${http}`,
        "get",
        "a",
      ),
    ).rejects.toThrow();
    expect(await statusOf(`http://127.0.0.1:${metrics}/metrics`)).toBe("200");
    expect(await statusOf(`http://127.0.0.1:${metrics}/version`)).toBe("404");
    const trusted = ["--cacert", ca.caFile];
    expect(await statusOf(...trusted, `https://127.0.0.1:${secure}/health`)).toBe("200");
  }, 60_000);

  it("tells systemd that it is ready, and keeps its files to itself", async () => {
    const told = join(folder.path, "told");
    folder.file("systemd-notify", `#!/bin/sh\necho "$@ $NOTIFY_SOCKET" > ${told}\n`, 0o700);
    const member = await make([], {
      NOTIFY_SOCKET: "/run/notify",
      PATH: `${folder.path}:${process.env["PATH"]}`,
    });
    await member.start();
    await expect
      .poll(() => existsSync(told) && readFileSync(told, "utf8"))
      .toBe("--ready /run/notify\n");
    const data = member.options.dataDirectory;
    const open = [".", ...readdirSync(data, { recursive: true, encoding: "utf8" })].filter(
      (path) => (statSync(join(data, path)).mode & 0o077) !== 0,
    );
    expect(open).toEqual([]);
  }, 60_000);

  it("has no gateway when told, and obeys its lists", async () => {
    const member = await alone(
      "--enable-grpc-gateway=false",
      "--host-whitelist=127.0.0.1",
      "--cors=https://console.example",
    );
    await member.start();
    const base = `http://${member.endpoint}`;
    expect(await statusOf("-d", "{}", `${base}/v3/maintenance/status`)).toBe("404");
    expect(await statusOf(`${base}/health`)).toBe("200");
    expect(await statusOf("-H", "Host: evil.example", `${base}/health`)).toBe("421");
    expect(await statusOf("--http2-prior-knowledge", "-H", "Host: evil.example", base)).toBe("421");
  }, 60_000);

  it("takes its certificates from a configuration file, and refuses bad ones", async () => {
    const { certFile, keyFile } = ca.leaf("server");
    const member = await alone();
    const config = (cert: string): string =>
      folder.file(
        "quorate.yml",
        [
          "client-transport-security:",
          `  cert-file: ${cert}`,
          `  key-file: ${keyFile}`,
          `  trusted-ca-file: ${ca.caFile}`,
          "  client-cert-auth: true",
        ].join("\n"),
      );
    addFlags(member, `--config-file=${config(ca.caFile)}`);
    addFlags(member, `--listen-client-urls=https://${member.endpoint}`);
    await expect(member.start()).rejects.toThrow(
      `failed to start: --key-file: the key in ${keyFile} does not belong to the certificate in`,
    );
    expect(existsSync(member.options.dataDirectory)).toBe(false);
    config(certFile);
    await member.start();
    const { certFile: cert, keyFile: key } = ca.leaf("alice");
    const url = `https://${member.endpoint}/health`;
    expect(await statusOf("--cacert", ca.caFile, "--cert", cert, "--key", key, url)).toBe("200");
    await expect(statusOf("--cacert", ca.caFile, url)).rejects.toThrow();
  }, 60_000);
});
