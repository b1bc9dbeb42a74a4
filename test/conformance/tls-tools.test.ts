// etcdctl and curl against a member that asks for certificates.

import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CertificateFolder, type Authority, type Leaf } from "../support/certificates.ts";
import type { MemberProcess } from "../support/processes.ts";
import { addFlags, clientFlags, logged, makeMembers, peerFlags } from "../tls/members.ts";
import { etcdctlInstalled } from "./etcdctl.ts";

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, {
    encoding: "utf8",
    timeout: 15_000,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ETCDCTL_API: "3" },
  });
}

function curlInstalled(): boolean {
  try {
    return run("curl", "--version").includes("HTTP2");
  } catch {
    return false;
  }
}

let folder: CertificateFolder;
let ca: Authority;
let client: Leaf;
let member: MemberProcess | undefined;
let url: string;

beforeAll(async () => {
  folder = new CertificateFolder();
  ca = folder.authority("ca");
  client = ca.leaf("alice");
  [member] = await makeMembers(folder, 1, (name) => [
    ...peerFlags(ca, ca.leaf(name)),
    ...clientFlags(ca),
    `--trusted-ca-file=${ca.caFile}`,
    "--client-cert-auth",
  ]);
  url = `https://${member?.endpoint}`;
  addFlags(member, `--listen-client-urls=${url}`, `--advertise-client-urls=${url}`);
  await member?.start();
});
afterAll(async () => {
  await member?.stop("SIGKILL");
  folder[Symbol.dispose]();
});

describe.runIf(etcdctlInstalled)("etcdctl", () => {
  const ctl = (...args: string[]): string =>
    run("etcdctl", `--endpoints=${url}`, `--cacert=${ca.caFile}`, "--command-timeout=2s", ...args);

  it("works with a certificate, and not without or with another's", async () => {
    const own = [`--cert=${client.certFile}`, `--key=${client.keyFile}`];
    expect(ctl(...own, "put", "a", "1")).toBe("OK\n");
    expect(ctl(...own, "get", "a")).toBe("a\n1\n");
    expect(ctl(...own, "endpoint", "status", "-w", "json")).toContain('"leader"');
    expect(() => ctl("get", "a")).toThrow();
    await logged(member, "no client certificate");
    const foreign = folder.authority("foreign").leaf("mallory");
    const stolen = [`--cert=${foreign.certFile}`, `--key=${foreign.keyFile}`];
    expect(() => ctl(...stolen, "get", "a")).toThrow();
    await logged(member, "client certificate not trusted");
  });
});

describe.runIf(curlInstalled())("curl", () => {
  const curl = (...args: string[]): string =>
    run("curl", "-sS", "--cacert", ca.caFile, "-w", " %{http_version}", ...args);

  it("speaks HTTP/2 and HTTP/1.1 over TLS", () => {
    const own = ["--cert", client.certFile, "--key", client.keyFile];
    const health = '{"health":"true","reason":""}';
    expect(curl(...own, `${url}/health`)).toBe(`${health} 2`);
    expect(curl(...own, "--http1.1", `${url}/health`)).toBe(`${health} 1.1`);
    const body = '{"ID":"77"}';
    expect(curl(...own, "-d", body, `${url}/v3/lease/keepalive`)).toContain('"ID":"77"');
    expect(() => curl(`${url}/health`)).toThrow();
  });
});
