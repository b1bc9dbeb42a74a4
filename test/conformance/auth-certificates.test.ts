// The name in a client's certificate as its user, with and without --client-cert-auth: etcdctl with
// certificates, and the JSON gateway, which never takes them for a user.

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CertificateFolder, type Leaf } from "../support/certificates.ts";
import { freePorts } from "../support/ports.ts";
import { MemberProcess } from "../support/processes.ts";
import { etcdctlInstalled, run } from "./etcdctl.ts";

const folder = new CertificateFolder();
const ca = folder.authority("ca");
const dataDirectory = mkdtempSync(join(tmpdir(), "quorate-certified-"));
const leaves = Object.fromEntries(
  ["root", "alice", "unknown", "server"].map((name) => [name, ca.leaf(name)]),
);
const execute = promisify(execFile);
let member: MemberProcess;
let ports: number[] | undefined;
afterAll(async () => {
  await member?.stop("SIGKILL");
  rmSync(dataDirectory, { recursive: true, force: true });
  folder[Symbol.dispose]();
});

function leaf(name: string): Leaf {
  const found = leaves[name];
  if (found === undefined) {
    throw new Error(`no certificate for ${name}`);
  }
  return found;
}

/** Starts on the same data, with other flags. */
async function restart(...flags: string[]): Promise<void> {
  await member?.stop();
  ports ??= await freePorts(2);
  const [clientPort = 0, peerPort = 0] = ports;
  const url = `https://127.0.0.1:${clientPort}`;
  const { certFile, keyFile } = leaf("server");
  member = new MemberProcess({
    name: "one",
    clientPort,
    peerPort,
    dataDirectory,
    flags: [
      `--initial-cluster=one=http://127.0.0.1:${peerPort}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--cert-file=${certFile}`,
      `--key-file=${keyFile}`,
      `--trusted-ca-file=${ca.caFile}`,
      ...flags,
    ],
  });
  await member.start();
}

/** What etcdctl prints for who holds this certificate. */
async function as(name: string, ...args: string[]): Promise<string> {
  const { certFile, keyFile } = leaf(name);
  const tls = [`--cacert=${ca.caFile}`, `--cert=${certFile}`, `--key=${keyFile}`];
  const { out, err } = await run(`https://${member.endpoint}`, [...tls, ...args]);
  return out + err;
}

const denied = "Error: etcdserver: permission denied\n";

describe.skipIf(!etcdctlInstalled)("with --client-cert-auth", () => {
  beforeAll(async () => {
    await restart("--client-cert-auth");
    for (const args of [
      ["user", "add", "root", "--no-password"],
      ["user", "grant-role", "root", "root"],
      ["user", "add", "alice:pw"],
      ["role", "add", "r"],
      ["role", "grant-permission", "r", "readwrite", "a"],
      ["user", "grant-role", "alice", "r"],
      ["auth", "enable"],
    ]) {
      expect(await as("alice", ...args)).not.toContain("Error");
    }
  });

  test("the name is the user", async () => {
    expect(await as("alice", "put", "a", "1")).toBe("OK\n");
    expect(await as("alice", "put", "b", "1")).toBe(denied);
    expect(await as("alice", "get", "", "--prefix")).toBe(denied);
    expect(await as("alice", "user", "list")).toBe(denied);
    expect(await as("root", "put", "b", "1")).toBe("OK\n");
    expect(await as("root", "user", "list")).toBe("alice\nroot\n");
    expect(await as("unknown", "get", "a")).toBe(denied);
    expect(await as("unknown", "user", "list")).toBe("Error: etcdserver: user name not found\n");
  });

  test("a token comes before the certificate", async () => {
    expect(await as("root", "--user=alice:pw", "get", "b")).toBe(denied);
    expect(await as("unknown", "--user=alice:pw", "get", "a")).toBe("a\n1\n");
    expect(await as("root", "--user=alice:wrong", "get", "a")).toContain("authentication failed");
  });

  test("through the gateway a certificate is nobody", async () => {
    const { certFile, keyFile } = leaf("root");
    const curl = async (path: string, body: string): Promise<string> => {
      const pair = ["--cacert", ca.caFile, "--cert", certFile, "--key", keyFile];
      const url = `https://${member.endpoint}/v3${path}`;
      return (await execute("curl", ["-sS", ...pair, "-d", body, url])).stdout;
    };
    for (const version of ["--http1.1", "--http2"]) {
      const { stdout } = await execute("curl", [
        ...["-sS", version, "--cacert", ca.caFile, "--cert", certFile, "--key", keyFile],
        ...["-d", '{"key":"YQ=="}', `https://${member.endpoint}/v3/kv/range`],
      ]);
      expect(stdout).toContain("etcdserver: user name is empty");
    }
    expect(await curl("/auth/disable", "{}")).toContain("etcdserver: user name is empty");
  });
});

describe.skipIf(!etcdctlInstalled)("without it", () => {
  test("a certificate only opens the connection", async () => {
    await restart();
    expect(await as("root", "get", "a")).toBe("Error: etcdserver: user name is empty\n");
    expect(await as("root", "auth", "disable")).toBe("Error: etcdserver: user name is empty\n");
    expect(await as("unknown", "--user=alice:pw", "get", "a")).toBe("a\n1\n");
  });
});
