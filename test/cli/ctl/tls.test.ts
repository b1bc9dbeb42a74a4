// Over TLS both programs read certificates from the same flags and variables, and end alike when
// they do not fit.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Authority, CertificateFolder } from "../../support/certificates.ts";
import { freePorts } from "../../support/ports.ts";
import { MemberProcess } from "../../support/processes.ts";
import { runControl } from "../../../src/cli/ctl/main.ts";
import { MemoryIo } from "../../support/memory-io.ts";
import { etcdctl, hasEtcdctl, quoratectl, type RunOptions } from "./both.ts";

let folder: CertificateFolder;
let authority: Authority;
let member: MemberProcess;
let endpoint = "";
const paths: Record<string, string> = {};

beforeAll(async () => {
  folder = new CertificateFolder();
  authority = folder.authority("ca");
  const server = authority.leaf("server");
  const client = authority.leaf("client");
  const [clientPort = 0, peerPort = 0] = await freePorts(2);
  endpoint = `https://127.0.0.1:${clientPort}`;
  member = new MemberProcess({
    name: "secure",
    clientPort,
    peerPort,
    dataDirectory: `${folder.path}/data`,
    flags: [
      `--listen-client-urls=${endpoint}`,
      `--advertise-client-urls=${endpoint}`,
      `--initial-cluster=secure=http://127.0.0.1:${peerPort}`,
      `--cert-file=${server.certFile}`,
      `--key-file=${server.keyFile}`,
      `--trusted-ca-file=${authority.caFile}`,
      "--client-cert-auth",
    ],
  });
  await member.start();
  Object.assign(paths, {
    CA: authority.caFile,
    OTHER: folder.authority("other").caFile,
    CERT: client.certFile,
    KEY: client.keyFile,
    BAD: folder.file("bad.pem", "no certificate"),
  });
});
afterAll(async () => {
  await member?.stop("SIGKILL");
  folder?.[Symbol.dispose]();
});

function withPaths(text: string): string {
  return text.replaceAll(/\b(?:CA|OTHER|CERT|KEY|BAD)\b/g, (name) => paths[name] ?? name);
}

async function run(line: string, options: RunOptions = {}) {
  const args = withPaths(line).split(" ");
  const env = Object.fromEntries(
    Object.entries(options.env ?? {}).map(([name, value]) => [name, withPaths(value)]),
  );
  const all = { ...options, env: { ETCDCTL_ENDPOINTS: endpoint, ...env } };
  return { theirs: etcdctl(args, all), ours: await quoratectl(args, all) };
}

describe.skipIf(!hasEtcdctl)("over TLS", () => {
  it.each([
    "member list --cacert=CA --cert=CERT --key=KEY",
    "get a --cacert=CA --cert=CERT --key=KEY -w json",
    "get a --insecure-skip-tls-verify --cert=CERT --key=KEY",
    "endpoint status --cluster --cacert=CA --cert=CERT --key=KEY",
    "get a --cacert= --cert=CERT --key=KEY",
    "get a --cert=CERT",
    "get a --cert=CERT --key=",
  ])("%s", async (line) => {
    const { theirs, ours } = await run(line);
    expect(ours).toEqual(theirs);
  });

  it("takes files from variables, and the host's scheme from --insecure-transport", async () => {
    const env = { ETCDCTL_CACERT: "CA", ETCDCTL_CERT: "CERT", ETCDCTL_KEY: "KEY" };
    const { theirs, ours } = await run("get a -w fields", { env });
    expect(ours).toEqual(theirs);
    const bare = { ...env, ETCDCTL_ENDPOINTS: endpoint.replace("https://", "") };
    const schemeless = await run("get a -w fields --insecure-transport=false", { env: bare });
    expect(schemeless.ours).toEqual(theirs);
    expect(schemeless.theirs).toEqual(theirs);
  });

  it.each([
    ["another authority", "get a --cacert=OTHER --cert=CERT --key=KEY --command-timeout=1s"],
    ["no certificate of its own", "get a --cacert=CA --command-timeout=1s"],
    ["a file that is no certificate", "get a --cacert=CA --cert=BAD --key=KEY"],
    ["a file that is not there", "get a --cacert=/nowhere/ca.crt"],
  ])("fails with %s", async (_, line) => {
    const { theirs, ours } = await run(line);
    expect(ours.exit).toBe(theirs.exit);
    expect(ours.out).toBe("");
    expect(ours.err).toMatch(/^Error: \S/);
  });

  it("says what does not fit", async () => {
    const hintOf = async (line: string, at = endpoint): Promise<string> => {
      const io = new MemoryIo();
      const args = withPaths(line).split(" ");
      const exit = await runControl(
        [...args, "--command-timeout=1s"],
        { ETCDCTL_ENDPOINTS: at },
        io,
      );
      expect({ exit, out: io.out }).toEqual({ exit: 1, out: "" });
      expect(io.err).toMatch(/^Error: context deadline exceeded\nHint: /);
      return io.err;
    };
    const client = "--cert=CERT --key=KEY";
    expect(await hintOf(`get a --cacert=OTHER ${client}`)).toContain("not signed by --cacert");
    expect(await hintOf("get a --cacert=CA")).toMatch(/client's certificate.*--cert/);
    const plain = endpoint.replace("https:", "http:");
    expect(await hintOf("get a", plain)).toContain("write https:// and give --cacert");
    expect(await hintOf("get a", "127.0.0.1:1")).toContain("connection refused");
    expect(await hintOf("get a", "no-such-host.invalid:1")).toContain("no such host");
  });
});
