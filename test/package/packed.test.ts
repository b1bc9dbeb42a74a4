// The package as `npm pack` makes it, installed in an empty folder and used from there, in
// JavaScript and in strict TypeScript. Its dependencies are linked from here, so that no registry
// is asked.

import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const run = promisify(execFile);
const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
};

let folder = "";
let installed = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quorate-packed-"));
  // What is packed is what was built before the tests.
  await run("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", folder], {
    cwd: root,
  });
  const modules = join(folder, "node_modules");
  await mkdir(modules);
  const [packed = ""] = readdirSync(folder).filter((name) => name.endsWith(".tgz"));
  await run("tar", ["-xzf", join(folder, packed), "-C", modules]);
  installed = join(modules, "quorate");
  await rename(join(modules, "package"), installed);
  for (const name of [...Object.keys(manifest.dependencies), "@types/node"]) {
    await mkdir(dirname(join(modules, name)), { recursive: true });
    await symlink(join(root, "node_modules", name), join(modules, name));
  }
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: "empty", type: "module" }));
}, 120_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

async function node(...args: string[]): Promise<string> {
  const { stdout } = await run(process.execPath, args, { cwd: folder, timeout: 60_000 });
  return stdout;
}

describe("the packed package", () => {
  it("holds what its exports name, and no sources or tests", () => {
    const targets = Object.values(manifest.exports)
      .flatMap((entry) => (typeof entry === "string" ? [entry] : Object.values(entry)))
      .filter((target) => !target.includes("*"));
    expect(targets.length).toBeGreaterThan(4);
    expect(targets.filter((target) => !existsSync(join(installed, target)))).toEqual([]);
    const names = readdirSync(installed);
    expect(names).toEqual(expect.arrayContaining(["README.md", "LICENSE", "CHANGELOG.md"]));
    expect(names.filter((name) => ["src", "test", "bench", "docs"].includes(name))).toEqual([]);
  });

  it("works from JavaScript", async () => {
    await writeFile(join(folder, "main.js"), javaScript);
    expect(await node("main.js")).toBe("world true\n1\n1\ntrue\n");
  }, 120_000);

  it("type-checks strictly and works from TypeScript", async () => {
    await writeFile(join(folder, "main.ts"), typeScript);
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions }));
    const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
    const compiled = await node(compiler, "-p", folder).catch(
      (error: { readonly stdout?: string }) => error.stdout ?? "tsc did not run",
    );
    expect(compiled).toBe("");
    expect(await node("out/main.js")).toBe("true ada 1\n2\n");
  }, 120_000);

  it("refuses at compile time what does not fit", async () => {
    const wrong = join(folder, "wrong");
    await mkdir(wrong);
    await writeFile(join(wrong, "main.ts"), wrongTypeScript);
    await writeFile(join(wrong, "tsconfig.json"), JSON.stringify({ compilerOptions }));
    const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
    const output = await node(compiler, "-p", wrong).then(
      () => "",
      (error: { readonly stdout?: string }) => error.stdout ?? "",
    );
    expect(output.match(/main\.ts\(\d+,/g)).toEqual(["main.ts(3,", "main.ts(5,", "main.ts(6,"]);
  }, 120_000);

  it("brings its commands", async () => {
    expect(await node(join(installed, "dist/cli/quorate.cjs"), "--version")).toContain(
      "quorate Version",
    );
    expect(await node(join(installed, "dist/cli/quoratectl.js"), "version")).toContain("version");
  });
});

const compilerOptions = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  module: "nodenext",
  moduleResolution: "nodenext",
  target: "es2022",
  lib: ["es2022", "esnext.disposable"],
  types: ["node"],
  skipLibCheck: false,
  outDir: "out",
};

const javaScript = `
import { acquireLock, Quorate } from "quorate";
import { connect, keyBytes } from "quorate/client";
import { startNode } from "quorate/server";
import { startTestCluster } from "quorate/testing";

const node = await startNode({ memory: true });
const store = new Quorate({ endpoints: [node.clientUrl] });
await store.put("hello", "world");
const lock = await acquireLock(store, "lock");
console.log((await store.get("hello"))?.value, lock.held);
await lock.release();
const client = connect({ endpoints: [node.clientUrl] });
console.log((await client.range({ key: keyBytes("hello") })).count);
client.close();
store.close();
await node.close();

const cluster = await startTestCluster(3);
const others = new Quorate({ endpoints: cluster.endpoints });
await others.put("a", "1");
await cluster.killLeader();
await cluster.leader();
console.log((await others.get("a", { timeoutMs: 20000 }))?.value);
others.close();
await cluster.close();

console.log(import.meta.resolve("quorate/proto/rpc.proto").startsWith("file:"));
`;

const typeScript = `
import { type Entry, json, Lock, Quorate, Sessions, tryLock } from "quorate";
import { type Client, connect, keyBytes } from "quorate/client";
import { type EmbeddedNode, type NodeOptions, startNode } from "quorate/server";
import { startTestNode, type TestMember } from "quorate/testing";

const options: NodeOptions = { memory: true, quotaBytes: Infinity };
const node: EmbeddedNode = await startNode(options);
const isLeader: boolean = node.status().isLeader;
const store: Quorate = new Quorate({ endpoints: node.clientUrls });
const users = store.namespace("users/").withCodec(json<{ readonly name: string }>());
await users.put("u1", { name: "ada" });
const user: Entry<{ readonly name: string }> | undefined = await users.get("u1");
const lock: Lock | undefined = await tryLock(store, "lock");
await lock?.release();
const sessions = new Sessions<{ readonly views: number }>(store);
await sessions.set("s", { views: 1 });
console.log(isLeader, user?.value.name, (await sessions.get("s"))?.views);
store.close();
await node.close();

const member: TestMember = await startTestNode();
const client: Client = connect({ endpoints: [member.endpoint] });
const reply = await client.put({ key: keyBytes("a"), value: keyBytes("1") });
console.log(reply.header?.revision);
client.close();
await member.stop();
`;

const wrongTypeScript = `import { Quorate } from "quorate";
import { startNode } from "quorate/server";
await startNode({ memory: "yes" });
const node = await startNode({ memory: true });
const n: string = node.status().term;
await new Quorate({ endpoints: node.clientUrls }).put("a", 1);
export { n };
`;
