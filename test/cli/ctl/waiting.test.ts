// Commands that go on until something happens, run as processes: watch with commands and lines,
// lock, elect, keep-alive. Both programs go through the same scenes on the same server.

import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkPerf } from "../../../src/cli/ctl/check.ts";
import { Context } from "../../../src/cli/ctl/context.ts";
import { environmentLayer, Settings } from "../../../src/cli/ctl/settings.ts";
import { type Client, connect, keyBytes, oneKey, prefixRange } from "../../../src/client/index.ts";
import { MemoryIo } from "../../support/memory-io.ts";
import { ClusterProcesses } from "../../support/processes.ts";
import { hasEtcdctl, type Outcome } from "./both.ts";
import { commandOf, Running, type Tool } from "./running.ts";

let cluster: ClusterProcesses;
let client: Client;
let env: Readonly<Record<string, string>> = {};

beforeAll(async () => {
  cluster = await ClusterProcesses.start(1);
  const [endpoint = ""] = cluster.endpoints;
  client = connect({ endpoints: [endpoint] });
  env = { ETCDCTL_ENDPOINTS: endpoint };
});
afterAll(async () => {
  client?.close();
  await cluster?.[Symbol.asyncDispose]();
});

function start(tool: Tool, ...args: string[]): Running {
  return new Running(tool, args, { env });
}

type Scene = (tool: Tool) => Promise<unknown>;

/** Plays a scene with both; what it gives must be equal. */
async function expectSame(scene: Scene): Promise<void> {
  expect(await scene("quoratectl")).toEqual(await scene("etcdctl"));
}

/** Changes `key` twice; the revision before. */
async function change(key: string): Promise<number> {
  const { header } = await client.put({ key: keyBytes(key), value: keyBytes('"quoted" é\n') });
  await client.deleteRange(oneKey(key));
  return header?.revision ?? 0;
}

/** Leases' ids and what holds them, which are new each time. */
function withoutIds({ out, ...rest }: Outcome): Outcome {
  return { ...rest, out: out.replaceAll(/[0-9a-f]{13,16}/g, "ID").replaceAll(/REV=\d+/g, "REV=N") };
}

describe.skipIf(!hasEtcdctl)("watch", () => {
  it.each([
    ["simple", /\nDELETE\nevents\n[^]*\nevents\n\n$/],
    ["fields", /(?:Lease" : 0\n[^]*){3}$/],
    ["json", /"Created":false\}\n$/],
    ["protobuf", /(?:events[^]*){3}\n$/],
  ])("prints events as %s", async (form, whole) => {
    const revision = await change("events");
    await expectSame(async (tool) => {
      using watch = start(tool, "watch", "events", `--rev=${revision}`, "--prev-kv", "-w", form);
      await watch.until(whole);
      const { out } = await watch.signal("SIGTERM");
      return out;
    });
  });

  it("runs a command for each event", async () => {
    const revision = await change("commanded");
    await expectSame(async (tool) => {
      const command = 'env | grep ^ETCD_WATCH | sort; test "$ETCD_WATCH_EVENT_TYPE" = \'"PUT"\'';
      using watch = start(
        tool,
        "watch",
        "commanded",
        `--rev=${revision}`,
        "--",
        "sh",
        "-c",
        command,
      );
      return await watch.end();
    });
  });

  it.each([["false"], ["/nowhere/command"], ["no-such-command"], ["sh", "-c", "kill -9 $$"]])(
    "ends when %s fails",
    async (...command) => {
      const revision = await change("failing");
      await expectSame(async (tool) => {
        using watch = start(tool, "watch", "failing", `--rev=${revision}`, "--", ...command);
        return await watch.end();
      });
    },
  );

  it("takes the key from variables", async () => {
    const revision = await change("variable");
    await expectSame(async (tool) => {
      const names = { ...env, ETCDCTL_WATCH_KEY: "var", ETCDCTL_WATCH_RANGE_END: "vas" };
      const args = ["watch", `--rev=${revision}`, "--", "false"];
      using watch = new Running(tool, args, { env: names });
      return await watch.end();
    });
  });

  it("reads watches from lines", async () => {
    const revision = await change("lined");
    await expectSame(async (tool) => {
      using watch = start(tool, "watch", "-i");
      watch.type(`nonsense\nwatch a b --prefix\nwatch "line\\x64" --rev=${revision}\n`);
      await watch.until(/lined\n[^]*lined\n/);
      watch.type(`watch lin --prefix --prev-kv --rev=${revision} -- echo seen\n`);
      await watch.until(/seen\n[^]*seen\n/);
      watch.endInput();
      return await watch.end();
    });
  });

  it("tells how far it is when it is asked", async () => {
    const revision = await change("asked");
    await expectSame(async (tool) => {
      using watch = start(tool, "watch", "-i");
      watch.type(`watch asked --rev=${revision}\n`);
      await watch.until(/asked\n[^]*asked\n/);
      watch.type("progress\n");
      await watch.until("progress notify: ");
      watch.endInput();
      const { out, exit } = await watch.end();
      return { exit, told: /progress notify: \d+/.exec(out)?.[0] };
    });
  });
});

describe("watch", () => {
  it("goes on after its server was killed, and neither repeats nor skips an event", async () => {
    const { header } = await client.put({ key: keyBytes("cut"), value: keyBytes("0") });
    const revision = header?.revision ?? 0;
    using watch = start("quoratectl", "watch", "cut", `--rev=${revision}`, "-w", "json");
    await watch.until(`"mod_revision":${revision},`);
    const [member] = cluster.members;
    await member?.stop("SIGKILL");
    await member?.start();
    for (let value = 1; value <= 20; value++) {
      await client.put({ key: keyBytes("cut"), value: keyBytes(String(value)) });
    }
    await watch.until(`"mod_revision":${revision + 20},`);
    const seen = [...watch.out.matchAll(/"mod_revision":(\d+)/g)].map(([, text]) => Number(text));
    expect(seen).toEqual(Array.from({ length: 21 }, (_, index) => revision + index));
  }, 60_000);
});

describe.skipIf(!hasEtcdctl)("any bytes", () => {
  it("go in by words or standard input, and come out again", async () => {
    const program = commandOf("quoratectl").join(" ");
    const shell = (script: string): Buffer =>
      spawnSync("sh", ["-c", script], { env: { ...process.env, ...env, ETCDCTL_API: "3" } }).stdout;
    const key = String.raw`"$(printf 'k\377\200x')"`;
    const all = Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256));
    expect(shell(`${program} put ${key} "$(printf '\\376 v')"`).toString()).toBe("OK\n");
    expect([...shell(`${program} get ${key}`)]).toEqual([...shell(`etcdctl get ${key}`)]);
    expect(shell(`etcdctl get ${key} --print-value-only`)).toEqual(
      Buffer.from([0xfe, 0x20, 0x76, 0x0a]),
    );
    const { stdout } = spawnSync(
      process.execPath,
      [...commandOf("quoratectl").slice(1), "put", "all"],
      {
        env: { ...process.env, ...env },
        input: all,
      },
    );
    expect(stdout.toString()).toBe("OK\n");
    const got = shell(`${program} get all --print-value-only`);
    expect(got).toEqual(Buffer.concat([all, Buffer.from("\n")]));
    expect(shell("etcdctl get all --print-value-only")).toEqual(got);
  });
});

describe("check perf", () => {
  it("judges what it measured, and leaves nothing behind", async () => {
    const io = new MemoryIo();
    const settings = new Settings([environmentLayer("ETCDCTL_", env)]);
    const context = new Context(settings, env, io);
    await context.prepare();
    const argv = { "auto-compact": true, "auto-defrag": true };
    const failed = await checkPerf(context, argv, 1_500).then(
      () => false,
      () => true,
    );
    context.close();
    const lines = io.out.trimEnd().split("\n");
    expect(lines[0]).toMatch(/^Compacting with revision \d+$/);
    expect(lines[3]).toMatch(/^Defragmented "127/);
    expect(lines[4]).toMatch(/: Throughput (?:is|too low:) \d+ writes\/s$/);
    expect(lines[5]).toMatch(/Slowest request took (?:too long: )?\d+\.\d{6}s$/);
    expect(lines[6]).toMatch(/Stddev (?:is|too high:) \d+\.\d{6}s$/);
    expect(lines[7]).toBe(failed ? "FAIL" : "PASS");
    expect((await client.range(prefixRange("/etcdctl-check-perf/"))).count).toBe(0);
  });
});

describe.skipIf(!hasEtcdctl)("lock", () => {
  it("holds until it is interrupted, and is taken by whoever waits", async () => {
    const tools = ["etcdctl", "quoratectl"] as const;
    for (const first of tools) {
      for (const second of tools) {
        using holder = start(first, "lock", "held");
        await holder.until(/^held\/[0-9a-f]+\n\n/);
        using waiter = start(second, "lock", "held", "--", "echo", "mine");
        await queued("held/", 2);
        expect(waiter.out).toBe("");
        expect(withoutIds(await holder.signal("SIGINT"))).toEqual({
          exit: 0,
          out: "held/ID\n\n",
          err: "",
        });
        expect(await waiter.end()).toEqual({ exit: 0, out: "mine\n", err: "" });
        await queued("held/", 0);
      }
    }
  });

  it("gives its command the key, and takes its output", async () => {
    await expectSame(async (tool) => {
      using lock = start(tool, "lock", "named", "--", "sh", "-c", "env | grep ^ETCD_LOCK | sort");
      return withoutIds(await lock.end());
    });
  });

  it("passes the exit code of its command on, as etcdctl since 3.5", async () => {
    using lock = start("quoratectl", "lock", "coded", "--", "sh", "-c", "exit 7");
    expect(await lock.end()).toEqual({ exit: 7, out: "", err: "Error: exit status 7\n" });
  });

  it("says so when the wait is interrupted, or the lease is lost", async () => {
    await expectSame(async (tool) => {
      using holder = start(tool, "lock", "lost", "--ttl=3");
      await holder.until(/^lost\/[0-9a-f]+\n/);
      using waiter = start(tool, "lock", "lost");
      await queued("lost/", 2);
      const stopped = await waiter.signal("SIGTERM");
      const { kvs } = await client.range(prefixRange("lost/"));
      await client.leaseRevoke(kvs[0]?.lease ?? 0n);
      const lost = await holder.end();
      return [withoutIds(stopped), withoutIds(lost)];
    });
  }, 60_000);
});

describe.skipIf(!hasEtcdctl)("elect", () => {
  it.each(["simple", "json", "fields"])(
    "leads until interrupted, and is watched: %s",
    async (form) => {
      await expectSame(async (tool) => {
        using leader = start(tool, "elect", "office", "first", "-w", form);
        await queued("office/", 1);
        using listener = start(tool, "elect", "-l", "office");
        await listener.until(/^office\/[0-9a-f]+\nfirst\n/);
        using next = start(tool, "elect", "office", "second");
        await queued("office/", 2);
        const led = await leader.signal("SIGINT");
        await next.until(/^office\/[0-9a-f]+\nsecond\n/);
        await listener.until(/second\n/);
        const out = led.out.replaceAll(/"[^"]*(?:key|revision|lease)":[^,}]*/gi, "");
        return [
          { ...withoutIds(led), out: out.replaceAll(/(?:Revision|Lease|Key)" : .*/g, "") },
          withoutIds(await next.signal("SIGTERM")),
          withoutIds(await listener.signal("SIGINT")),
        ].map(({ out: text, ...rest }, at) => ({
          ...rest,
          out: at === 0 ? text.length > 0 : text,
        }));
      });
      await queued("office/", 0);
    },
  );
});

describe.skipIf(!hasEtcdctl)("lease keep-alive", () => {
  it("renews until the lease is gone", async () => {
    await expectSame(async (tool) => {
      await client.leaseGrant({ id: 0x77n, ttl: 9 });
      using renewal = start(tool, "lease", "keep-alive", "77");
      await renewal.until("keepalived with TTL(9)\n");
      await client.leaseRevoke(0x77n);
      const { exit, out, err } = await renewal.end();
      return { exit, err, lines: [...new Set(out.split("\n"))] };
    });
  });
});

/** Resolves when so many keys begin with `prefix`. */
async function queued(prefix: string, count: number): Promise<void> {
  await expect
    .poll(async () => (await client.range(prefixRange(prefix))).count, { timeout: 20_000 })
    .toBe(count);
}
