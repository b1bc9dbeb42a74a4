// Leases: kept alive, given back, and known to be lost in time.

import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LeaseLostError, Quorate } from "../../src/sdk/index.ts";
import { ClusterProcesses } from "../support/processes.ts";
import { isInstalled, startTarget, type Target, targetNames } from "./targets.ts";

describe.each(targetNames.filter(isInstalled))("a lease of %s", (name) => {
  let target: Target;
  let store: Quorate;
  beforeAll(async () => {
    target = await startTarget(name);
    store = new Quorate({ endpoints: target.endpoints });
  });
  afterAll(async () => {
    store?.close();
    await target?.[Symbol.asyncDispose]();
  });

  it("lives on beyond its time, and ends with its keys when it is given back", async () => {
    const lease = await store.lease({ ttlSeconds: 2 });
    await store.put("kept", "1", { lease });
    expect((await store.get("kept"))?.leaseId).toBe(lease.id);
    await sleep(lease.ttlSeconds * 1_000 + 1_000);
    expect(lease.alive).toBe(true);
    expect(await store.get("kept")).toBeDefined();
    await lease.revoke();
    expect(await store.get("kept")).toBeUndefined();
    expect([lease.alive, lease.remainingMs, lease.signal.aborted]).toEqual([false, 0, true]);
    expect((await lease.lost).why).toBe("revoked");
    expect(() => lease.throwIfLost()).toThrow(LeaseLostError);
    await lease.revoke();
  });

  it("is given back at the end of a scope", async () => {
    {
      await using lease = await store.lease({ ttlSeconds: 60 });
      await store.put("scoped", "1", { lease });
    }
    expect(await store.get("scoped")).toBeUndefined();
  });

  it("says so when someone else has revoked it", async () => {
    const lease = await store.lease({ ttlSeconds: 3 });
    await store.client.leaseRevoke(lease.id);
    const lost = await lease.lost;
    expect(lost.why).toBe("gone");
    expect(lease.signal.reason).toBe(lost);
  });

  it("is let go when the store is closed", async () => {
    const other = new Quorate({ endpoints: target.endpoints });
    const lease = await other.lease({ ttlSeconds: 60 });
    other.close();
    expect((await lease.lost).why).toBe("closed");
    const before = performance.now();
    await lease[Symbol.asyncDispose]();
    expect(performance.now() - before).toBeLessThan(2_000);
    await store.client.leaseRevoke(lease.id);
  });
});

it("is lost by the clock when no server answers, before the servers let it go", async () => {
  await using cluster = await ClusterProcesses.start(1);
  await using store = new Quorate({ endpoints: cluster.endpoints });
  const lease = await store.lease({ ttlSeconds: 2 });
  cluster.members[0]?.signal("SIGSTOP");
  const before = performance.now();
  expect((await lease.lost).why).toBe("expired");
  expect(performance.now() - before).toBeLessThan(lease.ttlSeconds * 1_000 + 500);
  cluster.members[0]?.signal("SIGCONT");
});

const holder = `
  import { Quorate } from ${JSON.stringify(
    fileURLToPath(new URL("../../dist/sdk/index.js", import.meta.url)),
  )};
  process.on("unhandledRejection", () => process.exit(3));
  const store = new Quorate({ endpoints: [process.argv[1]] });
  const lease = await store.lease({ ttlSeconds: 2 });
  await store.put("holder", "1", { lease });
  process.stdout.write("held\\n");
  let timers = 0;
  setInterval(() => timers++, 1).unref();
  while (lease.alive) {
    // Stopped in here, so that no timer fires before it asks again.
  }
  process.stdout.write("over after " + timers + " timers\\n");
  process.stdout.write((await lease.lost).why + "\\n");
  store.close();
`;

it("is known to be lost in a process that was stopped, before any timer fires", async () => {
  await using cluster = await ClusterProcesses.start(1);
  const child = spawn(
    process.execPath,
    ["--input-type=module", "-e", holder, cluster.endpoints[0] ?? ""],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const lines = linesOf(child);
  expect(await lines.next()).toBe("held");
  child.kill("SIGSTOP");
  await using store = new Quorate({ endpoints: cluster.endpoints });
  await using watch = store.watch("holder", { initial: true });
  for await (const event of watch) {
    if (event.kind === "delete" || (event.kind === "resync" && event.entries.length === 0)) {
      break;
    }
  }
  child.kill("SIGCONT");
  expect(await lines.next()).toBe("over after 0 timers");
  expect(await lines.next()).toBe("expired");
  await lines.ended;
  expect(child.exitCode).toBe(0);
});

interface Lines {
  next(): Promise<string>;
  readonly ended: Promise<void>;
}

function linesOf(child: ChildProcess): Lines {
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  let received = "";
  let arrived = (): void => {};
  child.stdout?.on("data", (chunk: Buffer) => {
    received += chunk.toString();
    arrived();
  });
  return {
    ended,
    next: async () => {
      while (!received.includes("\n")) {
        await Promise.race([new Promise<void>((resolve) => (arrived = resolve)), ended]);
        if (child.exitCode !== null && !received.includes("\n")) {
          throw new Error(`it ended with ${child.exitCode}: ${received}`);
        }
      }
      const end = received.indexOf("\n");
      const line = received.slice(0, end);
      received = received.slice(end + 1);
      return line;
    },
  };
}
