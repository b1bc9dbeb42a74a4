// Files that are not what they should be: certificates, keys, lists, configuration and snapshots.
// Each ends the start with one line that names the file or its flag, a code that is not zero, and
// everything as it was.

import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CertificateFolder } from "../support/certificates.ts";
import { freePorts } from "../support/ports.ts";
import { ClusterProcesses } from "../support/processes.ts";
import { listing, start } from "./start-failure.ts";

const quoratectl = fileURLToPath(new URL("../../dist/cli/quoratectl.js", import.meta.url));
const folder = new CertificateFolder();
const ca = folder.authority("ca");
const [own, other] = [ca.leaf("own"), ca.leaf("other")];
const junk = folder.file(
  "junk.pem",
  "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
);
const empty = folder.file("empty", "");
const absent = join(folder.path, "absent");
afterAll(() => folder[Symbol.dispose]());

describe.concurrent("certificates", () => {
  const pair = [`--cert-file=${own.certFile}`, `--key-file=${own.keyFile}`];
  const peerPair = [`--peer-cert-file=${own.certFile}`, `--peer-key-file=${own.keyFile}`];
  const cases: readonly (readonly [string, readonly string[], string])[] = [
    ["a certificate that is none", [`--cert-file=${junk}`, pair[1] ?? ""], junk],
    ["an empty certificate", [`--cert-file=${empty}`, pair[1] ?? ""], empty],
    ["a certificate that is not there", [`--cert-file=${absent}`, pair[1] ?? ""], absent],
    ["a key that is none", [pair[0] ?? "", `--key-file=${junk}`], junk],
    ["a key of another certificate", [pair[0] ?? "", `--key-file=${other.keyFile}`], other.keyFile],
    ["a key without its certificate", [`--key-file=${own.keyFile}`], "--cert-file"],
    ["an authority that is none", [...pair, `--trusted-ca-file=${own.keyFile}`], own.keyFile],
    [
      "a list of the revoked that is none",
      [...pair, `--trusted-ca-file=${ca.caFile}`, `--client-crl-file=${junk}`],
      junk,
    ],
    ["a peer certificate that is none", [`--peer-cert-file=${junk}`, peerPair[1] ?? ""], junk],
    [
      "a peer key of another",
      [peerPair[0] ?? "", `--peer-key-file=${other.keyFile}`],
      other.keyFile,
    ],
    [
      "a peer authority that is not there",
      [...peerPair, `--peer-trusted-ca-file=${absent}`],
      absent,
    ],
    ["a version that is none", [...pair, "--tls-min-version=TLS0.9"], "TLS0.9"],
    ["a suite that is none", [...pair, "--cipher-suites=NONE"], "NONE"],
  ];

  test.each(cases)("%s", async (name, args, cause) => {
    const [clientPort = 0, peerPort = 0] = await freePorts(2);
    const peer = args.some((arg) => arg.startsWith("--peer-")) ? "https" : "http";
    const client = args.some((arg) => arg.startsWith("--cert") || arg.startsWith("--key"))
      ? "https"
      : "http";
    const before = listing(folder.path);
    const { exit, complaints } = await start([
      `--data-dir=${join(folder.path, `data-${name.replaceAll(" ", "-")}`)}`,
      `--listen-client-urls=${client}://127.0.0.1:${clientPort}`,
      `--advertise-client-urls=${client}://127.0.0.1:${clientPort}`,
      `--listen-peer-urls=${peer}://127.0.0.1:${peerPort}`,
      `--initial-advertise-peer-urls=${peer}://127.0.0.1:${peerPort}`,
      `--initial-cluster=default=${peer}://127.0.0.1:${peerPort}`,
      ...args,
    ]);
    expect(exit).toBeGreaterThan(0);
    expect(complaints).toHaveLength(1);
    expect(complaints[0]).toContain(cause);
    expect(listing(folder.path)).toEqual(before);
  });
});

describe("snapshots", () => {
  const home = join(folder.path, "snapshots");
  const good = join(home, "good.db");

  interface Ended {
    readonly exit: number;
    readonly out: string;
    readonly err: string;
  }

  function control(...args: readonly string[]): Promise<Ended> {
    return new Promise((resolve) => {
      execFile(process.execPath, [quoratectl, ...args], { timeout: 30_000 }, (error, out, err) => {
        resolve({ exit: Number(error?.code ?? 0), out, err });
      });
    });
  }

  beforeAll(async () => {
    mkdirSync(home);
    await using cluster = await ClusterProcesses.start(1);
    const endpoints = `--endpoints=${cluster.endpoints[0]}`;
    expect((await control(endpoints, "put", "key", "value")).exit).toBe(0);
    expect((await control(endpoints, "snapshot", "save", good)).exit).toBe(0);
    const of = (name: string): string => join(home, name);
    for (const name of ["cut.db", "altered.db", "unhashed.db"]) {
      copyFileSync(good, of(name));
    }
    const bytes = readFileSync(good);
    truncateSync(of("cut.db"), bytes.length - 512);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    writeFileSync(of("altered.db"), bytes);
    truncateSync(of("unhashed.db"), bytes.length - 32);
    writeFileSync(of("text.db"), "this is no snapshot\n".repeat(100));
    writeFileSync(of("empty.db"), "");
  });

  test.each(["cut.db", "altered.db", "unhashed.db", "text.db", "empty.db", "absent.db", "."])(
    "%s is refused in one line, and nothing is written",
    async (name) => {
      const before = listing(folder.path);
      const data = `--data-dir=${join(folder.path, "restored")}`;
      const { exit, out, err } = await control("snapshot", "restore", join(home, name), data);
      expect(exit).toBeGreaterThan(0);
      expect([out, err]).toEqual(["", expect.stringMatching(/^Error: [^\n]+\n$/)]);
      expect(listing(folder.path)).toEqual(before);
    },
  );

  test("the good one is restored", async () => {
    const data = `--data-dir=${join(folder.path, "restored")}`;
    expect((await control("snapshot", "restore", good, data)).exit).toBe(0);
  });
});
