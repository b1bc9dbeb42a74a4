// Every command that etcdctl's help names, with every flag of it and every format, against one
// node, against three, and against one that wants both a user and a certificate.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { keyCases } from "./etcdctl-every/keys.ts";
import { operateCases } from "./etcdctl-every/operate.ts";
import { EtcdctlScene } from "./etcdctl-every/scene.ts";
import { commandsOf, flagsOf, formatsOf } from "./etcdctl-every/walk.ts";
import { etcdctlInstalled, type Outcome } from "./etcdctl.ts";

const cases = { ...keyCases, ...operateCases };
/** Takes its minute, so it runs beside the other cases. */
const beside = "check perf";
/** Turns an etcd v2 store on disk into a v3 one: here is no v2 store, and no server in it. */
const left = ["migrate"];

const scenes = [
  ["one node", () => EtcdctlScene.open(1)],
  ["three nodes", () => EtcdctlScene.open(3)],
  ["a user and mutual TLS", () => EtcdctlScene.secure()],
] as const;

describe.runIf(etcdctlInstalled)("etcdctl", () => {
  test("has a case for every command", () => {
    const named = [...Object.keys(cases), beside, ...left];
    expect(named.sort(compareText)).toEqual(commandsOf().sort(compareText));
  });
});

describe.runIf(etcdctlInstalled).concurrent.each(scenes)("etcdctl against %s", (_, open) => {
  let scene: EtcdctlScene;
  let perf: Promise<Outcome>;
  beforeAll(async () => {
    scene = await open();
    const flags = ["--load=s", "--prefix=/perf/", "--auto-compact=false", "--auto-defrag"];
    const running = scene.start("check", "perf", ...flags);
    perf = running.end(240_000);
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  test("runs every command, with every flag and format", async () => {
    for (const run of new Set(Object.values(cases))) {
      await run(scene);
    }
    const { out } = await perf;
    // Whether it is fast enough is up to the machine; that it wrote, and that nothing failed, not.
    expect(out).toMatch(/(PASS: Throughput is|FAIL: Throughput too low:) [1-9]\d* writes\/s/);
    expect(out).not.toContain("ERROR");
    expect(await scene.ctl("get", "/perf/", "--prefix", "--limit=1")).toBe("");
    const commands = commandsOf().filter((command) => !left.includes(command));
    const missing = commands.flatMap((command) =>
      ["", ...flagsOf(command).map((flag) => ` ${flag}`)].map((end) => command + end),
    );
    // Where there are certificates the destination of a mirror has some, and only there.
    const elsewhere = scene.secured
      ? ["make-mirror --dest-insecure-transport"]
      : ["cacert", "cert", "key"].map((name) => `make-mirror --dest-${name}`);
    expect(missing.filter((use) => !scene.used.has(use))).toEqual(elsewhere);
    expect(formatsOf().filter((format) => !scene.used.has(`-w ${format}`))).toEqual([]);
  }, 300_000);
});

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
