// Every command of docs/migrating-from-etcd.md, in its order, in a shell, against a real etcd 3.4.

import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { EtcdServer, etcdInstalled } from "../etcd-snapshot/etcd-tools.ts";
import { readHistory, writeHistory } from "../etcd-snapshot/history.ts";
import { KvClient } from "../support/kv-client.ts";
import { freePorts } from "../support/ports.ts";
import { ClusterProcesses, MemberProcess } from "../support/processes.ts";
import { eventually } from "./targets.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const page = readFileSync(join(root, "docs", "migrating-from-etcd.md"), "utf8");

interface Ran {
  readonly code: number | null;
  readonly output: string;
}

/** The code blocks under a heading, each as one script. */
function scriptsUnder(heading: string): string[] {
  const [, section = ""] = page.split(`\n## ${heading}\n`);
  const [own = ""] = section.split("\n## ");
  return [...own.matchAll(/^( *)```sh\n([\s\S]*?)^ *```$/gm)].map(([, indent = "", text = ""]) =>
    text.replaceAll(new RegExp(`^${indent}`, "gm"), ""),
  );
}

function run(script: string, directory: string, environment: NodeJS.ProcessEnv): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn("bash", ["-e", "-o", "pipefail", "-c", script], {
      cwd: directory,
      env: environment,
    });
    let output = "";
    const collect = (text: Buffer): void => {
      output += text.toString();
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.once("close", (code) => resolve({ code, output }));
  });
}

describe.skipIf(!etcdInstalled())("docs/migrating-from-etcd.md", () => {
  test("does what it says", async () => {
    const directory = mkdtempSync(join(tmpdir(), "quorate-migrating-"));
    for (const [name, file] of [
      ["quoratectl", "quoratectl.js"],
      ["quorate", "quorate.cjs"],
    ] as const) {
      const path = join(directory, name);
      const script = join(root, "dist", "cli", file);
      writeFileSync(path, `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`);
      chmodSync(path, 0o755);
    }
    try {
      await using etcd = await EtcdServer.start(join(directory, "etcd"));
      await using cluster = await ClusterProcesses.start(1);
      const quorate = cluster.endpoints[0] as string;
      const environment = {
        ...process.env,
        PATH: `${directory}:${process.env["PATH"] ?? ""}`,
        ETCD: etcd.endpoint,
        QUORATE: quorate,
        XDG_CONFIG_HOME: join(directory, "config"),
      };
      const written = await writeHistory(etcd.endpoint, 31, 600);
      const client = new KvClient(etcd.endpoint);
      await client.put("/app/text", "one");
      await client.put("/app/more", "two");
      const history = { ...written, revision: written.revision + 2 };
      const shown = await readHistory(etcd.endpoint, history);
      const good = async (script: string): Promise<string> => {
        const { code, output } = await run(script, directory, environment);
        expect({ script, code, output }).toMatchObject({ code: 0 });
        return output;
      };

      const [look = "", backup = ""] = scriptsUnder("Before");
      expect(await good(look)).toContain("/ (2)");
      expect(await good(backup)).toContain(String(history.revision));

      const live = scriptsUnder("Live, by a mirror");
      const [start = "", finish = "", compare = "", note = "", back = ""] = live;
      // Left running until the shell is told to end it.
      const mirror = `${start.trim()} \n echo "$!" > mirror.pid; wait "$!" || true`;
      const running = run(mirror, directory, environment);
      const reader = new KvClient(quorate);
      await eventually(
        () => reader.range({ key: Buffer.from("/app/text") }),
        (reply) => expect(reply.count).toBe(1),
        30_000,
      );
      await client.put("/app/later", "three");
      await eventually(
        () => reader.range({ key: Buffer.from("/app/later") }),
        (reply) => expect(reply.count).toBe(1),
        30_000,
      );
      process.kill(Number(readFileSync(join(directory, "mirror.pid"), "utf8")), "SIGINT");
      expect((await running).code).toBe(0);
      await client.put("/app/last", "four");
      await good(finish);
      expect(await good(compare)).toBe("");
      await good(note);
      await reader.put("/app/new", "five");
      reader.close();
      await good(back);
      const returned = await client.range({ key: Buffer.from("/app/new") });
      expect(returned.count).toBe(1);

      const [save = "", restore = "", check = ""] = scriptsUnder("By a snapshot");
      await good(save);
      const [clientPort, peerPort] = (await freePorts(2)) as [number, number];
      await good(restore.replaceAll("127.0.0.1:2380", `127.0.0.1:${peerPort}`));
      expect(await good(check)).toContain("Nothing is wrong.");
      const moved = new MemberProcess({
        name: "node1",
        clientPort,
        peerPort,
        dataDirectory: join(directory, "node1.quorate"),
        flags: [],
      });
      await moved.start();
      const restored = await readHistory(moved.endpoint, history);
      await moved.stop();
      expect(restored).toEqual(shown);

      const [lines = ""] = scriptsUnder("As JSON lines");
      expect(await good(lines)).toMatch(/5 keys exported.*\n5 keys would be.*\n5 keys imported/);
      const [after = ""] = scriptsUnder("After");
      expect(await good(after)).toContain("Context home added, and in use");
      client.close();
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }, 240_000);
});
