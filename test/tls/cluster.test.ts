// Members with certificates, as processes: they find each other over TLS, take no strangers, and
// serve clients. (etcdctl and curl: test/conformance/tls-tools.test.ts.)

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Authority, CertificateFolder } from "../support/certificates.ts";
import { KvClient } from "../support/kv-client.ts";
import { freePorts } from "../support/ports.ts";
import { MemberProcess } from "../support/processes.ts";
import {
  addFlags,
  ask,
  askHttp2,
  type Asking,
  clientFlags,
  logged,
  makeMembers,
  peerFlags,
  put,
} from "./members.ts";

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

async function prepare(
  size: number,
  flagsOf: (name: string) => readonly string[],
): Promise<MemberProcess[]> {
  members = await makeMembers(folder, size, flagsOf);
  return members;
}

describe("between members", () => {
  it("TLS carries a cluster, and clients reach it with certificates", async () => {
    const client = ca.leaf("alice");
    const cluster = await prepare(3, (name) => [
      ...peerFlags(ca, ca.leaf(name, { commonName: "member" })),
      "--peer-cert-allowed-cn=member",
      ...clientFlags(ca),
      `--trusted-ca-file=${ca.caFile}`,
      "--client-cert-auth",
    ]);
    for (const member of cluster) {
      const url = `https://${member.endpoint}`;
      addFlags(member, `--listen-client-urls=${url}`, `--advertise-client-urls=${url}`);
    }
    await Promise.all(cluster.map((member) => member.start()));
    const [one = "", two = "", three = ""] = cluster.map(({ endpoint }) => `https://${endpoint}`);
    const known = { ca: ca.cert, client };
    expect(await put(one, known)).toBe(200);
    const found = await ask(`${two}/v3/kv/range`, { ...known, body: '{"key":"YQ=="}' });
    expect(found.text).toContain('"value":"MQ=="');
    expect(await ask(`${three}/readyz`, known)).toEqual({ status: 200, text: "ok\n" });
    const health = '{"health":"true","reason":""}';
    expect(await askHttp2(`${three}/health`, known)).toEqual({ status: 200, text: health });
    await expect(ask(`${one}/health`, { ca: ca.cert })).rejects.toThrow();
    await logged(cluster[0], "no client certificate");
    for (const member of cluster) {
      expect(member.log).not.toContain("PRIVATE KEY");
    }
  }, 60_000);

  it("a member with another's certificate stays out until it has the right one", async () => {
    const foreign = folder.authority("foreign");
    const wrong = foreign.leaf("node3", { commonName: "member" });
    const [one, two, three] = await prepare(3, (name) =>
      name === "node3"
        ? peerFlags(ca, wrong)
        : [
            ...peerFlags(ca, ca.leaf(name, { commonName: "member" })),
            "--peer-cert-allowed-cn=member",
          ],
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
    expect(await put(`http://${three?.endpoint}`)).toBe(200);
  }, 90_000);

  it("a member may join over https; one that calls from elsewhere is refused", async () => {
    const cluster = await prepare(2, (name) => peerFlags(ca, ca.leaf(name)));
    const [one, two] = cluster;
    const url = (member: MemberProcess | undefined): string =>
      `https://127.0.0.1:${member?.options.peerPort}`;
    addFlags(one, `--initial-cluster=node1=${url(one)}`);
    addFlags(two, "--initial-cluster-state=existing");
    await one?.start();
    const body = JSON.stringify({ peerURLs: [url(two)] });
    const added = await ask(`http://${one?.endpoint}/v3/cluster/member/add`, { body });
    expect(added.status).toBe(200);
    ca.leaf("node2", { hosts: ["192.0.2.1"] });
    const failed = await two?.start().then(
      () => "it started",
      (error: unknown) => String(error),
    );
    expect(failed).toContain("could not fetch cluster information from peer URLs");
    await logged(one, "certificate is not valid for 127.0.0.1");
    ca.leaf("node2");
    await two?.start();
    expect(await put(`http://${two?.endpoint}`)).toBe(200);
  }, 90_000);

  it("certificates of their own making do for members and clients", async () => {
    const cluster = await prepare(3, () => ["--peer-auto-tls", "--auto-tls"]);
    const [one] = cluster;
    const both = `https://${one?.endpoint},http://${one?.endpoint}`;
    addFlags(one, `--listen-client-urls=${both}`);
    await Promise.all(cluster.map((member) => member.start()));
    const made = join(one?.options.dataDirectory ?? "", "fixtures/client/cert.pem");
    expect(existsSync(made)).toBe(true);
    const trusted = { ca: readFileSync(made, "utf8") };
    expect(await put(`https://${one?.endpoint}`, trusted)).toBe(200);
    expect(await put(`http://${one?.endpoint}`)).toBe(200);
    await one?.stop();
    await one?.start();
    expect(one?.log.match(/automatically generate certificates/g)).toHaveLength(2);
    expect(await put(`https://${one?.endpoint}`, trusted)).toBe(200);
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

  async function statusOf(url: string, asking: Asking = {}): Promise<number> {
    return (await ask(url, asking)).status;
  }

  it("serves HTTP and metrics at addresses of their own", async () => {
    const [http, metrics, secure] = await freePorts(3);
    const member = await alone(
      `--listen-client-http-urls=http://127.0.0.1:${http}`,
      `--listen-metrics-urls=http://127.0.0.1:${metrics},https://127.0.0.1:${secure}`,
      ...clientFlags(ca),
    );
    await member.start();
    const [both, grpcOnHttp] = [member.endpoint, `127.0.0.1:${http}`].map(
      (endpoint) => new KvClient(endpoint),
    );
    await both?.put("a", "1");
    await expect(grpcOnHttp?.put("a", "1")).rejects.toThrow("UNIMPLEMENTED");
    both?.close();
    grpcOnHttp?.close();
    await expect(ask(`http://${member.endpoint}/health`)).rejects.toThrow();
    expect(await put(`http://127.0.0.1:${http}`)).toBe(200);
    expect((await askHttp2(`http://127.0.0.1:${http}/version`)).status).toBe(200);
    expect(await statusOf(`http://127.0.0.1:${metrics}/metrics`)).toBe(200);
    expect(await statusOf(`http://127.0.0.1:${metrics}/version`)).toBe(404);
    expect(await statusOf(`https://127.0.0.1:${secure}/health`, { ca: ca.cert })).toBe(200);
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
    const evil = { host: "evil.example" };
    expect(await put(base)).toBe(404);
    expect(await statusOf(`${base}/health`)).toBe(200);
    expect(await statusOf(`${base}/health`, evil)).toBe(421);
    expect((await askHttp2(`${base}/health`, evil)).status).toBe(421);
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
    const url = `https://${member.endpoint}/health`;
    expect(await statusOf(url, { ca: ca.cert, client: ca.leaf("alice") })).toBe(200);
    await expect(ask(url, { ca: ca.cert })).rejects.toThrow();
  }, 60_000);
});
