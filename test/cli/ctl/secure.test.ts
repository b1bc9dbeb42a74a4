// Verbs against a member that asks for TLS and a user: mirrors to it, backups of it, what doctor
// says of its certificate, and a context that remembers how to reach it.

import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CertificateFolder } from "../../support/certificates.ts";
import { control, printed } from "../../support/control.ts";
import { ClusterProcesses, type MemberProcess } from "../../support/processes.ts";
import { makeMembers, peerFlags } from "../../tls/members.ts";

let directory: string;
let folder: CertificateFolder;
let member: MemberProcess;
let plain: ClusterProcesses;
let caFile: string;
let to: string;
let flags: string[];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "quorate-secure-"));
  folder = new CertificateFolder();
  const ca = folder.authority("ca");
  const own = ca.leaf("server", { days: 9 });
  caFile = ca.caFile;
  const [made] = await makeMembers(folder, 1, () => [
    ...peerFlags(ca, ca.leaf("peer")),
    `--cert-file=${own.certFile}`,
    `--key-file=${own.keyFile}`,
  ]);
  member = made as MemberProcess;
  to = `https://127.0.0.1:${member.options.clientPort}`;
  const own2 = member.options.flags as string[];
  own2.push(`--listen-client-urls=${to}`, `--advertise-client-urls=${to}`);
  flags = [`--endpoints=${to}`, `--cacert=${caFile}`];
  await member.start();
  await printed([...flags, "user", "add", "root:secret"]);
  await control([...flags, "user", "grant-role", "root", "root"]);
  await printed([...flags, "auth", "enable"]);
  flags.push("--user=root:secret");
  plain = await ClusterProcesses.start(1);
}, 90_000);

afterAll(async () => {
  await member.stop("SIGKILL");
  await plain[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
});

test("a mirror logs in at its destination, and says what is wrong when it cannot", async () => {
  const from = `--endpoints=${plain.endpoints[0] ?? ""}`;
  await printed([from, "put", "tls/a", "1"]);
  const mirror = [from, "make-mirror", "--once", "--prefix=tls/", to];
  const good = [...mirror, `--dest-cacert=${caFile}`, "--dest-user=root:secret"];
  expect(await printed(good)).toBe("1\n");
  expect(await printed([...flags, "get", "tls/a", "--print-value-only"])).toBe("1\n");
  const wrong = await control([...mirror, `--dest-cacert=${caFile}`, "--dest-user=root:wrong"]);
  expect(wrong).toMatchObject({ exit: 2, err: expect.stringContaining("authentication failed") });
  const unknown = await control([...mirror, "--dest-user=root:secret"]);
  expect(unknown.exit).toBe(2);
  expect(unknown.err).toMatch(/127\.0\.0\.1:\d+: its certificate is not signed by --cacert/);
}, 60_000);

test("a backup needs the right user, and holds the users", async () => {
  const file = join(directory, "secure.db");
  const refused = await control([...flags.slice(0, 2), "snapshot", "save", file]);
  expect(refused).toMatchObject({ exit: 5, err: expect.stringContaining("user name is empty") });
  await printed([...flags, "snapshot", "save", file]);
  expect(statSync(file).size).toBeGreaterThan(4_096);
  const data = join(directory, "restored");
  await printed(["snapshot", "restore", file, `--data-dir=${data}`]);
  const checked = await printed(["hashkv", data]);
  expect(checked).toMatch(/^\d+, \d+, -?\d+\n$/);
}, 60_000);

test("doctor sees the certificate's end, and top reads metrics over TLS", async () => {
  const { out } = await control([...flags, "doctor", "--quick"]);
  expect(out).toMatch(/WARNING the certificate of https:\/\/127\.0\.0\.1:\d+ expires in [89] days/);
  expect(out).not.toContain("authentication is off");
  const top = await printed([...flags, "top", "--once", "--interval=200ms", "-w=json"]);
  expect(JSON.parse(top)).toMatchObject([{ role: "leader", memoryBytes: expect.any(Number) }]);
}, 60_000);

test("a context keeps the way to it, with paths that hold from anywhere", async () => {
  const env = { XDG_CONFIG_HOME: directory };
  const relative = { env, directory: folder.path };
  const cacert = caFile.slice(folder.path.length + 1);
  await printed(
    [
      ...["context", "add", "secure", `--endpoints=${to}`, `--cacert=${cacert}`],
      ...["--user=root:secret", "--store-password"],
    ],
    relative,
  );
  expect(await printed(["get", "tls/a", "--print-value-only"], { env, directory: "/" })).toBe(
    "1\n",
  );
  expect(await printed(["completion", "candidates", "--", "get", "t"], { env })).toBe("tls/\n");
}, 60_000);
