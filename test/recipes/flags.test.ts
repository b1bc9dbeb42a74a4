// Feature flags: the same for everybody, for a steady part of all, and there while the store is
// away.

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FeatureFlags, rolloutShare } from "../../src/recipes/index.ts";
import { Quorate } from "../../src/sdk/index.ts";
import type { TestCluster } from "../../src/testing/index.ts";
import { threeMembers, underFaults } from "./chaos.ts";

let cluster: TestCluster;
let store: Quorate;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quorate-test-flags-"));
  cluster = await threeMembers();
  store = new Quorate({ endpoints: cluster.endpoints });
});

afterAll(async () => {
  store.close();
  await cluster.close();
  await rm(folder, { recursive: true });
});

describe("feature flags", () => {
  it("are on for all, for some, for a part, or for none", async () => {
    await using flags = await FeatureFlags.open(store, { prefix: "some/" });
    expect([flags.isOn("x", "ada"), flags.isOn("x", "ada", true)]).toEqual([false, true]);
    await flags.set("x", { enabled: true });
    expect([flags.isOn("x"), flags.isOn("x", "ada")]).toEqual([true, true]);
    await flags.set("x", { enabled: true, percent: 0, include: ["ada"] });
    expect([flags.isOn("x"), flags.isOn("x", "ada"), flags.isOn("x", "bob")]).toEqual([
      false,
      true,
      false,
    ]);
    await flags.set("x", { enabled: true, exclude: ["bob"] });
    expect([flags.isOn("x", "ada"), flags.isOn("x", "bob")]).toEqual([true, false]);
    await flags.set("x", { enabled: false, include: ["ada"] });
    expect(flags.isOn("x", "ada")).toBe(false);
    await flags.remove("x");
    expect([flags.isOn("x", "ada"), flags.names()]).toEqual([false, []]);
  });

  it("grow by percent without taking anybody out, and are independent of each other", async () => {
    await using flags = await FeatureFlags.open(store, { prefix: "part/" });
    const subjects = Array.from({ length: 2_000 }, (_, i) => `user-${i}`);
    const on = (): Set<string> => new Set(subjects.filter((each) => flags.isOn("x", each)));
    await flags.set("x", { enabled: true, percent: 10 });
    const few = on();
    await flags.set("x", { enabled: true, percent: 50 });
    const half = on();
    expect([...few].every((each) => half.has(each))).toBe(true);
    expect(few.size / subjects.length).toBeCloseTo(0.1, 1);
    expect(half.size / subjects.length).toBeCloseTo(0.5, 1);
    await flags.set("y", { enabled: true, percent: 50 });
    const both = [...half].filter((each) => flags.isOn("y", each));
    expect(both.length / half.size).toBeCloseTo(0.5, 1);
    // The same in every process and version: sha256("new-cart\0ada") begins with these 32 bits.
    expect(rolloutShare("new-cart", "ada")).toBe(0x7016_ae8a / 2 ** 32);
  });

  it("tell changes, and keep what was known of a flag that cannot be read", async () => {
    await using flags = await FeatureFlags.open(store, { prefix: "bad/" });
    const told: string[] = [];
    flags.onChange(({ name, flag }) => told.push(`${name} ${flag?.enabled}`));
    await flags.set("x", { enabled: true });
    await expect(flags.set("x", { enabled: true, percent: 101 })).rejects.toThrow("0 to 100");
    await store.put("bad/x", "no flag");
    await store.put("bad/y", '{"enabled":true,"persent":3}');
    await flags.set("z", { enabled: false });
    expect(flags.isOn("x", "ada")).toBe(true);
    expect([...flags.problems.keys()]).toEqual(["x", "y"]);
    expect(flags.problems.get("y")).toContain("persent");
    expect(told).toEqual(["x true", "z false"]);
  });

  it("are there while the store is away, also in a process that starts then", async () => {
    const lastKnownFile = join(folder, "flags.json");
    const options = { prefix: "away/", lastKnownFile, waitMs: 300 };
    const first = await FeatureFlags.open(store, options);
    await first.set("x", { enabled: true, percent: 30 });
    await Promise.all(cluster.members.map((member) => member.kill()));
    expect([first.get("x")?.percent, first.source]).toEqual([30, "store"]);
    await first.close();
    await using second = await FeatureFlags.open(store, {
      ...options,
      defaults: { x: { enabled: false }, y: { enabled: true } },
    });
    expect([second.get("x")?.percent, second.isOn("y"), second.source]).toEqual([30, true, "file"]);
    expect(second.freshness).toBeUndefined();
    await Promise.all(cluster.members.map((member) => member.start()));
    await store.put("away/x", '{"enabled":false}');
    await expect.poll(() => second.get("x")?.enabled, { timeout: 20_000 }).toBe(false);
    expect(second.source).toBe("store");
    await second.close();
    expect(JSON.parse(await readFile(lastKnownFile, "utf8"))).toEqual({ x: { enabled: false } });
  });

  it("say so when the file cannot be read, and begin without", async () => {
    const lastKnownFile = join(folder, "broken.json");
    await writeFile(lastKnownFile, "{");
    const warning = new Promise<Error>((resolve) => process.once("warning", resolve));
    await using flags = await FeatureFlags.open(store, { prefix: "none/", lastKnownFile });
    expect((await warning).message).toContain("broken.json");
    expect(flags.source).toBe("store");
  });

  it("end alike everywhere under faults", async () => {
    await underFaults(cluster, { durationMs: 5_000 }, async (over) => {
      await using one = new Quorate({ endpoints: cluster.endpoints });
      await using flags = await FeatureFlags.open(one, { prefix: "chaos/", waitMs: 60_000 });
      const seen: number[] = [];
      flags.onChange(({ flag }) => seen.push(flag?.percent ?? -1));
      let percent = 0;
      while (!over.aborted) {
        percent = (percent + 1) % 100;
        await store.put("chaos/x", JSON.stringify({ enabled: true, percent })).catch(() => {});
      }
      await store.put("chaos/x", '{"enabled":true,"percent":99.5}');
      await expect.poll(() => flags.get("x")?.percent, { timeout: 20_000 }).toBe(99.5);
      expect(seen.at(-1)).toBe(99.5);
      expect(seen.length).toBeGreaterThan(10);
    });
  });
});
