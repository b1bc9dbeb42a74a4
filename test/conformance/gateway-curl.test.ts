// The JSON gateway as scripts use it, by curl: every path of it, the older aliases, bytes in base64
// and 64-bit numbers as text, streams as they come, web pages and host names; and its WebSockets.

import { execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gatewayRoutes } from "../../src/http/gateway-routes.ts";
import { freePorts } from "../support/ports.ts";
import { MemberProcess, withTimeout } from "../support/processes.ts";
import { freshPrefix, roles, useTargets } from "./targets.ts";

const target = useTargets(["--bcrypt-cost=4"]);
const execute = promisify(execFile);

interface Answer {
  readonly status: number;
  readonly headers: string;
  readonly body: string;
}

async function curl(url: string, ...args: string[]): Promise<Answer> {
  const { stdout } = await execute("curl", ["-sS", "-i", "--max-time", "20", ...args, url]);
  const [headers = "", ...body] = stdout.split("\r\n\r\n");
  return { status: Number(headers.split(" ")[1]), headers, body: body.join("\r\n\r\n") };
}

/** What curl prints, piece by piece, until it is stopped. */
class RunningCurl implements Disposable {
  readonly #child;
  #out = "";
  #wake: () => void = () => {};

  constructor(url: string, ...args: string[]) {
    this.#child = spawn("curl", ["-sS", "-N", ...args, url], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#child.stdout.on("data", (text: Buffer) => {
      this.#out += text.toString("latin1");
      this.#wake();
    });
  }

  async until(check: (out: string) => boolean): Promise<string> {
    while (!check(this.#out)) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await withTimeout(woken, 20_000, () => `curl printed ${this.#out}`);
    }
    return this.#out;
  }

  /** The results of the first `count` lines. */
  async results(count: number): Promise<unknown[]> {
    const out = await this.until((text) => text.split("\n").length > count);
    const lines = out.split("\n").slice(0, count);
    return lines.map((line) => (JSON.parse(line) as { readonly result: unknown }).result);
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const number = expect.stringMatching(/^\d+$/) as unknown;
const header = { cluster_id: number, member_id: number, raft_term: number };

describe.each(roles)("%s", (role) => {
  const called = new Set<string>();
  let prefix = "";
  beforeAll(() => {
    prefix = freshPrefix("curl");
  });

  async function post(route: string, body: object, version = "v3"): Promise<[number, unknown]> {
    called.add(route);
    const url = `http://${target(role).endpoint}/${version}/${route}`;
    const answer = await curl(url, "-d", JSON.stringify(body));
    expect(answer.headers.toLowerCase()).toContain("content-type: application/json");
    return [answer.status, JSON.parse(answer.body)];
  }

  /** Answered with this, and perhaps more. */
  async function gives(route: string, body: object, answer: object): Promise<void> {
    expect([route, await post(route, body)]).toMatchObject([route, [200, answer]]);
  }

  async function refuses(
    route: string,
    body: object,
    [status, code, message]: readonly [number, number, string],
  ): Promise<void> {
    const answer = { code, message, details: [] };
    expect([route, await post(route, body)]).toEqual([route, [status, answer]]);
  }

  function stream(route: string, body: object | string): RunningCurl {
    called.add(route);
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return new RunningCurl(`http://${target(role).endpoint}/v3/${route}`, "-d", text);
  }

  test("keys", async () => {
    const key = base64(`${prefix}a`);
    const [, put] = await post("kv/put", { key, value: base64("1") });
    expect(put).toEqual({ header: { ...header, revision: number } });
    const revision = (put as { header: { revision: string } }).header.revision;
    const pair = { key, create_revision: revision, mod_revision: revision, version: "1" };
    const found = { kvs: [{ ...pair, value: base64("1") }], count: "1" };
    await gives("kv/range", { key }, found);
    // Either case of a name, a number as a number; zero is left out.
    await gives("kv/range", { key, keysOnly: true, limit: 5 }, { kvs: [pair], count: "1" });
    await gives("kv/range", { key, keys_only: true, limit: "5" }, { kvs: [pair], count: "1" });
    const [, none] = await post("kv/range", { key: base64(`${prefix}none`) });
    expect(none).toEqual({ header: { ...header, revision: number } });
    for (const alias of ["v3beta", "v3alpha"]) {
      expect(await post("kv/range", { key }, alias)).toMatchObject([200, found]);
    }
    const txn = {
      compare: [{ key, target: "VERSION", result: "GREATER", version: "0" }],
      success: [{ request_put: { key, value: base64("2"), prev_kv: true } }],
    };
    const responses = [{ response_put: { prev_kv: { key, value: base64("1") } } }];
    await gives("kv/txn", txn, { succeeded: true, responses });
    await gives("kv/deleterange", { key, prev_kv: true }, { deleted: "1", prev_kvs: [{ key }] });
    await gives("kv/compaction", { revision, physical: true }, { header });
    await refuses("kv/compaction", { revision }, [
      400,
      11,
      "etcdserver: mvcc: required revision has been compacted",
    ]);
    await refuses("kv/put", {}, [400, 3, "etcdserver: key is not provided"]);
  });

  test("leases", async () => {
    // Beyond what a JavaScript number holds.
    const ID = String(2n ** 60n + BigInt(roles.indexOf(role)) * 2n + 1n);
    await gives("lease/grant", { ID, TTL: 600 }, { ID, TTL: "600" });
    await gives("kv/put", { key: base64(`${prefix}l`), lease: ID }, { header });
    const keys = [base64(`${prefix}l`)];
    for (const path of ["lease/timetolive", "kv/lease/timetolive"]) {
      await gives(path, { ID, keys: true }, { ID, grantedTTL: "600", keys });
    }
    for (const path of ["lease/leases", "kv/lease/leases"]) {
      await gives(path, {}, { leases: expect.arrayContaining([{ ID }]) as unknown });
    }
    using renewals = stream("lease/keepalive", `{"ID":"${ID}"}{"ID":"${ID}"}`);
    expect(await renewals.results(2)).toMatchObject([
      { ID, TTL: "600" },
      { ID, TTL: "600" },
    ]);
    await gives("lease/revoke", { ID }, { header });
    await refuses("kv/lease/revoke", { ID }, [404, 5, "etcdserver: requested lease not found"]);
  });

  test("a watch, each event as it comes", async () => {
    const key = base64(`${prefix}w`);
    using watch = stream("watch", { create_request: { key, prev_kv: true } });
    expect(await watch.results(1)).toMatchObject([{ created: true }]);
    for (let i = 1; i <= 3; i++) {
      await gives("kv/put", { key, value: base64(String(i)) }, { header });
      const event = { kv: { key, value: base64(String(i)), version: String(i) } };
      // The line is here before the next put is made.
      expect((await watch.results(1 + i)).at(-1)).toMatchObject({ events: [event] });
    }
    await gives("kv/deleterange", { key }, { deleted: "1" });
    expect((await watch.results(5)).at(-1)).toMatchObject({
      events: [{ type: "DELETE", kv: { key }, prev_kv: { value: base64("3") } }],
    });
  });

  test("members and maintenance", async () => {
    const { size } = target(role);
    const [, list] = await post("cluster/member/list", { linearizable: true });
    expect((list as { members: object[] }).members).toHaveLength(size);
    const member = { ID: number, clientURLs: [expect.any(String)], peerURLs: [expect.any(String)] };
    expect((list as { members: object[] }).members[0]).toMatchObject(member);
    const unknown = [404, 5, "etcdserver: member not found"] as const;
    const badUrls = [400, 3, "etcdserver: given member URLs are invalid"] as const;
    await refuses("cluster/member/add", { peerURLs: ["x"] }, badUrls);
    await refuses("cluster/member/remove", { ID: "1" }, unknown);
    await refuses("cluster/member/update", { ID: "1", peerURLs: ["http://a:1"] }, unknown);
    await refuses("cluster/member/promote", { ID: "1" }, unknown);
    await gives("maintenance/alarm", { action: "GET", alarm: "NOSPACE" }, { header });
    await gives("maintenance/status", {}, { header, leader: number, dbSize: number });
    expect(await post("maintenance/defragment", {})).toEqual([200, {}]);
    await gives("maintenance/hash", {}, { hash: expect.any(Number) as unknown });
    await gives("maintenance/hashkv", { revision: "0" }, { hash_revision: number });
    const toNobody = role === "follower of three" ? "not leader" : "bad leader transferee";
    const refusal = [400, 9, `etcdserver: ${toNobody}`] as const;
    await refuses("maintenance/transfer-leadership", { targetID: "1" }, refusal);
    await refuses("maintenance/downgrade", { action: "VALIDATE", version: "x" }, [
      400,
      3,
      "etcdserver: wrong downgrade target version format",
    ]);
    using snapshot = stream("maintenance/snapshot", {});
    const [first] = await snapshot.results(1);
    expect(first).toMatchObject({ version: expect.stringMatching(/^3\.6\./) as unknown });
    const { blob } = first as { readonly blob: string };
    expect(Buffer.from(blob, "base64").length).toBe(32_768);
  });

  test("locks and elections", async () => {
    const name = base64(`${prefix}lock`);
    const [, locked] = await post("lock/lock", { name });
    const { key } = locked as { readonly key: string };
    expect(Buffer.from(key, "base64").toString()).toContain(`${prefix}lock/`);
    await gives("lock/unlock", { key }, { header });
    const [, grant] = await post("lease/grant", { TTL: "600" });
    const { ID: lease } = grant as { readonly ID: string };
    const election = base64(`${prefix}election`);
    const [, won] = await post("election/campaign", { name: election, lease, value: "MQ==" });
    const { leader } = won as { readonly leader: object };
    expect(leader).toMatchObject({ name: election, lease });
    using observer = stream("election/observe", { name: election });
    expect(await observer.results(1)).toMatchObject([{ kv: { value: "MQ==" } }]);
    await gives("election/proclaim", { leader, value: "Mg==" }, { header });
    expect((await observer.results(2)).at(-1)).toMatchObject({ kv: { value: "Mg==" } });
    await gives("election/leader", { name: election }, { kv: { value: "Mg==" } });
    await gives("election/resign", { leader }, { header });
    await refuses("election/leader", { name: election }, [500, 2, "election: no leader"]);
  });

  test("users and roles", async () => {
    const perm = { permType: "READWRITE", key: base64("a"), range_end: base64("b") };
    const user = { name: "u", password: "p" };
    await gives("auth/status", {}, { header, authRevision: number });
    await refuses("auth/enable", {}, [400, 9, "etcdserver: root user does not exist"]);
    await gives("auth/disable", {}, { header });
    await refuses("auth/authenticate", user, [400, 9, "etcdserver: authentication is not enabled"]);
    await gives("auth/user/add", user, { header });
    await gives("auth/role/add", { name: "r" }, { header });
    await gives("auth/role/grant", { name: "r", perm }, { header });
    await gives("auth/user/grant", { user: "u", role: "r" }, { header });
    await gives("auth/user/get", { name: "u" }, { roles: ["r"] });
    await gives("auth/user/list", {}, { users: ["u"] });
    await gives("auth/role/get", { role: "r" }, { perm: [perm] });
    await gives("auth/role/list", {}, { roles: ["r"] });
    await gives("auth/user/changepw", { name: "u", password: "q" }, { header });
    await gives("auth/user/revoke", { name: "u", role: "r" }, { header });
    const { key, range_end } = perm;
    await gives("auth/role/revoke", { role: "r", key, range_end }, { header });
    await gives("auth/role/delete", { role: "r" }, { header });
    await gives("auth/user/delete", { name: "u" }, { header });
  });

  test("every path was asked", () => {
    expect(Object.keys(gatewayRoutes).filter((route) => !called.has(route))).toEqual([]);
  });

  test("what is no request", async () => {
    const base = `http://${target(role).endpoint}`;
    const bad = await curl(`${base}/v3/kv/range`, "-d", "{no json");
    expect([bad.status, JSON.parse(bad.body)]).toMatchObject([400, { code: 3 }]);
    expect((await curl(`${base}/v3/kv/none`, "-d", "{}")).status).toBe(404);
    expect((await curl(`${base}/v3/kv/range`)).status).toBe(501);
    expect((await curl(`${base}/v4/kv/range`, "-d", "{}")).status).toBe(404);
  });

  test("an upgrade to a WebSocket", async () => {
    const headers = {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    };
    const accepted = await new Promise((resolve, reject) => {
      const asking = request(`http://${target(role).endpoint}/v3/watch`, { headers });
      asking.once("upgrade", (response, socket) => {
        socket.destroy();
        resolve(response.headers["sec-websocket-accept"]);
      });
      asking.once("error", reject);
      asking.end();
    });
    // The answer that RFC 6455 gives for this key.
    expect(accepted).toBe("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  });
});

describe("with lists of pages and hosts", () => {
  const directory = mkdtempSync(join(tmpdir(), "quorate-lists-"));
  let member: MemberProcess;
  beforeAll(async () => {
    const [clientPort = 0, peerPort = 0] = await freePorts(2);
    member = new MemberProcess({
      name: "one",
      clientPort,
      peerPort,
      dataDirectory: join(directory, "data"),
      flags: [
        `--initial-cluster=one=http://127.0.0.1:${peerPort}`,
        "--cors=https://console.example",
        "--host-whitelist=127.0.0.1,store.example",
      ],
    });
    await member.start();
  });
  afterAll(async () => {
    await member.stop("SIGKILL");
    rmSync(directory, { recursive: true });
  });

  test("pages of the list may see the answers, others not", async () => {
    const url = `http://${member.endpoint}/v3/kv/range`;
    const ask = (origin: string, ...args: string[]): Promise<Answer> =>
      curl(url, "-H", `Origin: ${origin}`, ...args);
    const body = ["-d", '{"key":"YQ=="}'];
    const allowed = "access-control-allow-origin: https://console.example";
    const known = await ask("https://console.example", ...body);
    expect([known.status, known.headers.toLowerCase()]).toEqual([
      200,
      expect.stringContaining(allowed),
    ]);
    const preflight = await ask("https://console.example", "-X", "OPTIONS");
    expect([preflight.status, preflight.headers.toLowerCase()]).toEqual([
      200,
      expect.stringContaining(allowed),
    ]);
    const other = await ask("https://evil.example", ...body);
    expect(other.headers.toLowerCase()).not.toContain("access-control-allow-origin");
  });

  test("hosts of the list are answered, others are told why not", async () => {
    const url = `http://${member.endpoint}/v3/kv/range`;
    const body = ["-d", '{"key":"YQ=="}'];
    expect((await curl(url, ...body)).status).toBe(200);
    expect((await curl(url, ...body, "-H", "Host: store.example:80")).status).toBe(200);
    const evil = await curl(url, ...body, "-H", "Host: evil.example");
    expect([evil.status, evil.body]).toEqual([
      421,
      expect.stringContaining('etcd --host-whitelist "evil.example"'),
    ]);
  });
});
