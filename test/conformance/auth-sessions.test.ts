// Passwords and tokens over time: wrong ones, old ones, those of another member, of before a
// restart; signed ones. And that none of them is ever written down.

import { execFileSync } from "node:child_process";
import { createHmac, generateKeyPairSync, sign as signature } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PermissionType } from "../../src/wire/index.ts";
import { ClusterProcesses, type MemberProcess } from "../support/processes.ts";
import { auth, logIn, passwordOf, setUpUsers } from "./auth-support.ts";
import { bytes, expectRefused, prefixEnd, RawClient } from "./raw-client.ts";
import { eventually } from "./targets.ts";

const unknown = 2;
const invalidArgument = 3;
const failedPrecondition = 9;
const unauthenticated = 16;
const badToken = "etcdserver: invalid auth token";
const wrong = "etcdserver: authentication failed, invalid user ID or password";
const oldRevision = "etcdserver: revision of auth store is old";

function range(client: RawClient, token: string, key = "mine/a"): Promise<unknown> {
  return client.call("range", { key: bytes(key) }, { metadata: { token } });
}

/** Tries again while it rejects. */
function untilSo(what: () => Promise<unknown>): Promise<void> {
  return eventually(what, () => {});
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Every byte that a process has left in files under `directory`, and its log. */
function writtenBy(member: MemberProcess): string {
  const files = (directory: string): string[] =>
    readdirSync(directory).flatMap((name) => {
      const path = join(directory, name);
      return statSync(path).isDirectory() ? files(path) : [readFileSync(path, "latin1")];
    });
  return files(member.options.dataDirectory).join("\n");
}

describe("simple tokens", () => {
  let cluster: ClusterProcesses;
  let clients: RawClient[];
  beforeAll(async () => {
    cluster = await ClusterProcesses.start(3, ["--auth-token-ttl=2", "--log-level=debug"]);
    clients = cluster.endpoints.map((endpoint) => new RawClient(endpoint));
    const [first] = clients as [RawClient];
    await expectRefused(
      auth(first, "authenticate", { name: "root", password: "x" }),
      failedPrecondition,
      "etcdserver: authentication is not enabled",
    );
    await setUpUsers(first);
  });
  afterAll(async () => {
    for (const client of clients) {
      client[Symbol.dispose]();
    }
    await cluster[Symbol.asyncDispose]();
  });

  test("are good on every member as soon as they are given", async () => {
    for (let i = 0; i < 30; i++) {
      const [first, second, third] = [0, 1, 2].map((n) => clients[(i + n) % 3]) as [
        RawClient,
        RawClient,
        RawClient,
      ];
      const token = await logIn(first, "user");
      expect(token).toMatch(/^[A-Za-z]{16}\.\d+$/);
      await Promise.all([second, third].map((client) => range(client, token)));
      using stream = clients[(i + 1) % 3]?.watch({
        metadata: { token: await logIn(first, "user") },
      });
      stream?.send({ requestUnion: { kind: "createRequest", value: watchOf("mine/a") } });
      expect(await stream?.next()).toMatchObject({ created: true, canceled: false });
    }
  });

  test("live while they are used, and run out on each member by itself", async () => {
    const [first, second] = clients as [RawClient, RawClient];
    const token = await logIn(first, "user");
    await range(second, token);
    for (let i = 0; i < 6; i++) {
      await pause(500);
      await range(first, token);
    }
    await expectRefused(range(second, token), unauthenticated, badToken);
    await pause(2_500);
    await expectRefused(range(first, token), unauthenticated, badToken);
    await expectRefused(
      first.call("put", { key: bytes("mine/late") }, { metadata: { token } }),
      unauthenticated,
      badToken,
    );
    await range(first, await logIn(first, "user"), "mine/late");
  });

  test("end with a password, with a user and with what a user may", async () => {
    const [first, second, third] = clients as [RawClient, RawClient, RawClient];
    const root = await logIn(first, "root");
    const password = passwordOf("brief");
    await auth(first, "userAdd", { name: "brief", password }, root);
    await auth(first, "grantRole", { user: "brief", role: "some" }, root);
    const before = await logIn(second, "brief");
    await range(second, before);
    await auth(first, "changePassword", { name: "brief", password: "another" }, root);
    await expectRefused(range(first, before), unauthenticated, badToken);
    await untilSo(() => expectRefused(range(third, before), unauthenticated, badToken));
    const login = (): Promise<unknown> => auth(second, "authenticate", { name: "brief", password });
    await expectRefused(login(), invalidArgument, wrong);
    const { token } = await auth(second, "authenticate", { name: "brief", password: "another" });
    await range(second, token);
    await auth(first, "userDelete", { name: "brief" }, root);
    await expectRefused(range(first, token), unauthenticated, badToken);

    const user = await logIn(first, "user");
    const write = { key: bytes("write/"), rangeEnd: prefixEnd("write/") };
    const put = (): Promise<unknown> =>
      first.call("put", { key: bytes("write/x") }, { metadata: { token: user } });
    await put();
    await auth(first, "revokePermission", { role: "some", ...write }, root);
    await expectRefused(put(), 7, "etcdserver: permission denied");
    const perm = { permType: PermissionType.WRITE, ...write };
    await auth(first, "grantPermission", { name: "some", perm }, root);
    await put();
  });

  test("a watch ends with the right to read, before it hears of more", async () => {
    const [first, second] = clients as [RawClient, RawClient];
    const root = await logIn(first, "root");
    const options = { metadata: { token: root } };
    await auth(first, "userAdd", { name: "brief", password: passwordOf("brief") }, root);
    await auth(first, "roleAdd", { name: "watching" }, root);
    for (const key of ["watch/kept", "watch/lost"]) {
      const perm = { permType: PermissionType.READ, key: bytes(key), rangeEnd: new Uint8Array(0) };
      await auth(first, "grantPermission", { name: "watching", perm }, root);
    }
    await auth(first, "grantRole", { user: "brief", role: "watching" }, root);
    const token = await logIn(second, "brief");
    using stream = second.watch({ metadata: { token } });
    for (const key of ["watch/kept", "watch/lost"]) {
      stream.send({ requestUnion: { kind: "createRequest", value: watchOf(key) } });
      expect(await stream.next()).toMatchObject({ created: true, canceled: false });
      await first.call("put", { key: bytes(key) }, options);
      expect((await stream.next()).events).toHaveLength(1);
    }
    await auth(first, "revokePermission", { role: "watching", key: bytes("watch/lost") }, root);
    await first.call("put", { key: bytes("watch/lost") }, options);
    await first.call("put", { key: bytes("watch/kept") }, options);
    expect(await stream.next()).toMatchObject({
      watchId: 1n,
      canceled: true,
      cancelReason: "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
      events: [],
    });
    expect(await stream.next()).toMatchObject({ watchId: 0n, canceled: false });
    await auth(first, "userDelete", { name: "brief" }, root);
    await first.call("put", { key: bytes("watch/kept") }, options);
    expect(await stream.next()).toMatchObject({ watchId: 0n, canceled: true, events: [] });
    expect(stream.queued).toEqual([]);
  });

  test("make an address wait that guesses, but not one that knows", async () => {
    const [, , third] = clients as [RawClient, RawClient, RawClient];
    await logIn(third, "user");
    const guess = (name: string, password: string): Promise<unknown> =>
      auth(third, "authenticate", { name, password });
    const failures = [
      ["user", "wrong"],
      ["user", ""],
      ["nobody", passwordOf("nobody")],
      ["user", "x".repeat(100)],
    ] as const;
    for (const [name, password] of failures) {
      await expectRefused(guess(name, password), invalidArgument, wrong);
    }
    await expectRefused(
      guess("certified", "x"),
      unknown,
      "auth: authentication failed, password was given for no password user",
    );
    await expectRefused(guess("user", "x"), invalidArgument, wrong);
    await expectRefused(guess("user", "x"), unknown, "etcdserver: too many requests");
    await expectRefused(guess("stranger", "x"), unknown, "etcdserver: too many requests");
    await logIn(third, "user");
  });

  test("users outlive a restart, tokens do not, and no secret was written down", async () => {
    const [first] = clients as [RawClient];
    const [member] = cluster.members as [MemberProcess];
    const token = await logIn(first, "user");
    const root = await logIn(first, "root");
    const options = { metadata: { token: root } };
    await first.call("put", { key: bytes("mine/kept"), value: bytes("1") }, options);
    await member.stop("SIGKILL");
    await member.start();
    await untilSo(() =>
      range(first, token).then(
        () => {},
        (error: unknown) => {
          expect((error as { details: string }).details).toBe(badToken);
        },
      ),
    );
    await range(first, await logIn(first, "user"), "mine/kept");
    await expectRefused(range(first, ""), unauthenticated, badToken);
    const hash = /\$2[aby]\$\d\d\$/;
    for (const each of cluster.members) {
      await each.stop();
      const files = writtenBy(each);
      for (const name of ["root", "user", "stranger", "brief"]) {
        expect(each.log).not.toContain(passwordOf(name));
        expect(files).not.toContain(passwordOf(name));
      }
      expect(each.log).not.toMatch(hash);
      // Hashes are what is to be found there, and nowhere else.
      expect(files).toMatch(hash);
      expect(each.log).not.toContain(token);
      expect(each.log).not.toContain(token.split(".")[0]);
      expect(each.log).not.toContain(root);
    }
  });
});

function watchOf(key: string) {
  return {
    key: bytes(key),
    rangeEnd: new Uint8Array(0),
    startRevision: 0,
    progressNotify: false,
    filters: [],
    prevKv: false,
    watchId: 0n,
    fragment: false,
  };
}

describe("signed tokens", () => {
  const directory = mkdtempSync(join(tmpdir(), "quorate-jwt-"));
  const privatePath = join(directory, "key.pem");
  const publicPath = join(directory, "public.pem");
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const publicPem = publicKey.export({ type: "spki", format: "pem" });
  let cluster: ClusterProcesses;
  let clients: RawClient[];
  beforeAll(async () => {
    writeFileSync(privatePath, privateKey.export({ type: "pkcs8", format: "pem" }), {
      mode: 0o600,
    });
    writeFileSync(publicPath, publicPem);
    const keys = `pub-key=${publicPath},priv-key=${privatePath}`;
    cluster = await ClusterProcesses.start(3, [
      `--auth-token=jwt,sign-method=RS256,${keys},ttl=3s`,
      "--bcrypt-cost=4",
    ]);
    clients = cluster.endpoints.map((endpoint) => new RawClient(endpoint));
    await setUpUsers(clients[0] as RawClient);
  });
  afterAll(async () => {
    for (const client of clients) {
      client[Symbol.dispose]();
    }
    await cluster[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  function forged(claims: object, header: object = { alg: "RS256", typ: "JWT" }): string {
    const text = [header, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".");
    return `${text}.${signature("sha256", Buffer.from(text), privateKey).toString("base64url")}`;
  }

  test("are good on every member, for as long as they say, and after a restart", async () => {
    const [first, second, third] = clients as [RawClient, RawClient, RawClient];
    const token = await logIn(first, "user");
    const startMs = performance.now();
    expect(token.split(".")).toHaveLength(3);
    const claims = JSON.parse(
      Buffer.from(token.split(".")[1] ?? "", "base64url").toString(),
    ) as object;
    expect(claims).toMatchObject({ username: "user", revision: expect.any(Number) });
    await Promise.all([second, third].map((client) => range(client, token)));
    await pause(3_100 - (performance.now() - startMs));
    for (const client of [first, second, third]) {
      await expectRefused(range(client, token), unauthenticated, badToken);
    }
    const [member] = cluster.members as [MemberProcess];
    // Made by hand to live longer than a restart may take.
    const later = forged({ ...claims, exp: Math.floor(Date.now() / 1000) + 600 });
    await member.stop("SIGKILL");
    await member.start();
    await untilSo(() => range(first, later));
  });

  test("of before a change of users are old", async () => {
    const [first, second] = clients as [RawClient, RawClient];
    const token = await logIn(second, "user");
    await range(second, token);
    const root = await logIn(first, "root");
    await auth(first, "roleAdd", { name: "another" }, root);
    await expectRefused(range(first, token), invalidArgument, oldRevision);
    await untilSo(() => expectRefused(range(second, token), invalidArgument, oldRevision));
    const put = second.call("put", { key: bytes("mine/a") }, { metadata: { token } });
    await expectRefused(put, invalidArgument, oldRevision);
    await expectRefused(auth(first, "userList", {}, root), invalidArgument, oldRevision);
    await range(second, await logIn(second, "user"));
  });

  test("that are forged, cut or empty are no tokens", async () => {
    const [first] = clients as [RawClient];
    const { authRevision: revision } = await auth(first, "status");
    const exp = Math.floor(Date.now() / 1000) + 60;
    await range(first, forged({ username: "user", revision, exp }));
    const good = forged({ username: "user", revision, exp });
    const [head = "", body = "", tail = ""] = good.split(".");
    const unsigned = Buffer.from('{"alg":"none"}').toString("base64url");
    const hmacHead = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString("base64url");
    const confused = createHmac("sha256", publicPem).update(`${hmacHead}.${body}`);
    const rootBody = Buffer.from(JSON.stringify({ username: "root", revision, exp }));
    const bad: Readonly<Record<string, string>> = {
      "no algorithm": `${unsigned}.${body}.`,
      "no algorithm, signed": `${unsigned}.${body}.${tail}`,
      "the public key as a secret": `${hmacHead}.${body}.${confused.digest("base64url")}`,
      "another's claims": `${head}.${rootBody.toString("base64url")}.${tail}`,
      "a cut signature": `${head}.${body}.${tail.slice(0, -4)}`,
      "no signature": `${head}.${body}.`,
      "two parts": `${head}.${body}`,
      "four parts": `${good}.x`,
      "no time": forged({ username: "user", revision }),
      "a time that is text": forged({ username: "user", revision, exp: String(exp) }),
      "a time that is past": forged({ username: "user", revision, exp: exp - 120 }),
      "not yet": forged({ username: "user", revision, exp, nbf: exp }),
      "no user": forged({ revision, exp }),
      "an empty user": forged({ username: "", revision: Number.MAX_SAFE_INTEGER, exp }),
      "a user that is a number": forged({ username: 7, revision, exp }),
      "no revision": forged({ username: "user", exp }),
      "a revision of 0": forged({ username: "user", revision: 0, exp }),
      "half a revision": forged({ username: "user", revision: revision + 0.5, exp }),
      "claims that are null": forged(null as unknown as object),
      "claims that are a list": forged([] as object),
      "another algorithm": forged({ username: "user", revision, exp }, { alg: "PS256" }),
      "critical extras": forged({ username: "user", revision, exp }, { alg: "RS256", crit: ["x"] }),
      "too long": forged({ username: "user", revision, exp, pad: "x".repeat(9_000) }),
    };
    for (const [name, token] of Object.entries(bad)) {
      const refused = expectRefused(range(first, token), unauthenticated, badToken);
      await expect(refused, name).resolves.toBeUndefined();
    }
  });
});

describe("flags", () => {
  const script = new URL("../../dist/cli/quorate.cjs", import.meta.url).pathname;
  const directory = mkdtempSync(join(tmpdir(), "quorate-flags-"));
  const dataDirectory = join(directory, "data");
  const ecPath = join(directory, "ec.pem");
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  writeFileSync(ecPath, privateKey.export({ type: "pkcs8", format: "pem" }));
  const otherPath = join(directory, "secret.txt");
  writeFileSync(otherPath, "not a key: hunter2");
  afterAll(() => rmSync(directory, { recursive: true }));

  test.each([
    ["--auth-token=none", '--auth-token must be "simple" or "jwt,sign-method=..."'],
    ["--auth-token=jwt", "--auth-token: sign-method must be one of RS256"],
    ["--auth-token=jwt,sign-method=none", "--auth-token: sign-method must be one of RS256"],
    ["--auth-token=jwt,sign-method=toString", "--auth-token: sign-method must be one of RS256"],
    ["--auth-token=jwt,sign-method=HS256", "HS256 needs priv-key"],
    ["--auth-token=jwt,sign-method=ES256", "ES256 needs priv-key or pub-key"],
    [`--auth-token=jwt,sign-method=RS256,priv-key=${ecPath}`, "of another kind than RS256 needs"],
    [`--auth-token=jwt,sign-method=ES384,priv-key=${ecPath}`, "of another kind than ES384 needs"],
    [
      `--auth-token=jwt,sign-method=ES256,priv-key=${otherPath}`,
      "priv-key is not a key in PEM form",
    ],
    [
      "--auth-token=jwt,sign-method=ES256,priv-key=/nowhere",
      'cannot read priv-key "/nowhere": ENOENT',
    ],
    [`--auth-token=jwt,sign-method=ES256,priv-key=${ecPath},ttl=soon`, "ttl must be a duration"],
    ["--auth-token=jwt,sign-method=ES256,colour=red", '"colour=red" is not an option of jwt'],
    ["--bcrypt-cost=3", "--bcrypt-cost must be from 4 to 31"],
    ["--auth-token-ttl=0", "--auth-token-ttl must be >0"],
  ])("%s", (flag, message) => {
    let output = "";
    let exit: number | undefined;
    try {
      execFileSync(process.execPath, [script, flag, `--data-dir=${dataDirectory}`], {
        stdio: "pipe",
        timeout: 20_000,
      });
    } catch (error) {
      const failure = error as { status: number; stderr: Buffer; stdout: Buffer };
      output = Buffer.concat([failure.stderr, failure.stdout]).toString();
      exit = failure.status;
    }
    expect(output.replaceAll('\\"', '"')).toContain(message);
    expect(exit).toBeGreaterThan(0);
    expect(output).not.toContain("hunter2");
    expect(readdirSync(directory)).not.toContain("data");
  });
});
