// What is drawn on a terminal: progress, top, edit, questions, colours. Each in a window of tmux.

import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../conformance/targets.ts";
import { printed } from "../support/control.ts";
import { ClusterProcesses, type MemberProcess } from "../support/processes.ts";
import { installed, Tmux } from "../support/tmux.ts";

const script = new URL("../../dist/cli/quoratectl.js", import.meta.url).pathname;

let directory: string;
let cluster: ClusterProcesses;
let member: MemberProcess;
let at: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "quorate-views-"));
  cluster = await ClusterProcesses.start(1);
  member = cluster.members[0] as MemberProcess;
  at = `--endpoints=${member.endpoint}`;
}, 60_000);

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

function open(args: readonly string[], environment: Record<string, string> = {}): Tmux {
  return Tmux.start([process.execPath, script, at, ...args], {
    directory,
    environment: {
      PATH: process.env["PATH"] ?? "",
      XDG_CONFIG_HOME: directory,
      TMPDIR: directory,
      ...environment,
    },
  });
}

/** An editor that runs `body` on the file it is given. */
function editor(name: string, body: string): string {
  const path = join(directory, name);
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

const value = async (key: string): Promise<string> =>
  printed([at, "get", key, "--print-value-only"]);

describe.skipIf(!installed(["tmux"]))("on a terminal", () => {
  test("top draws itself over and over, and ends at q", async () => {
    await using tmux = open(["top", "--interval=200ms"]);
    const screen = await tmux.until(/node1 +leader/);
    expect(screen).toMatch(/^cluster [0-9a-f]+: 1 of 1 members answer, leader node1, revision \d+/);
    expect(screen).toMatch(/MEMBER +ROLE +TERM +APPLIED +LAG +PUT\/S/);
    await printed([at, "put", "top", "1"]);
    await tmux.until("revision 2");
    expect(await tmux.screen(true)).toMatch(/\[32m\S*node1/);
    await tmux.resize(60, 10);
    await tmux.press("q");
    await tmux.until("[ended 0]");
    expect(await tmux.screen()).not.toContain("MEMBER");
  }, 60_000);

  test("edit writes what was typed, and refuses what is no JSON any more", async () => {
    await printed([at, "put", "conf", '{"a": 1}']);
    const good = editor("good", `sed -i 's/1/2/' "$1"`);
    await using tmux = open(["edit", "conf"], { EDITOR: good });
    await tmux.until(/written at revision \d+/);
    expect(await value("conf")).toBe('{"a": 2}\n');
    const bad = editor(
      "bad",
      `if grep -q x "$1"; then sed -i 's/x/3/' "$1"; else sed -i 's/2/x/' "$1"; fi`,
    );
    await using again = open(["edit", "conf"], { EDITOR: bad });
    await again.until("The value was JSON and is no more");
    await again.until("Edit again? [Y/n]");
    await again.press("Enter");
    await again.until(/written at revision \d+/);
    expect(await value("conf")).toBe('{"a": 3}\n');
    await using idle = open(["edit", "conf"], { EDITOR: "true" });
    await idle.until("nothing was changed");
    await using broken = open(["edit", "conf"], { EDITOR: "false" });
    await broken.until("the editor ended with 1; nothing was written");
    await broken.until("[ended 1]");
  }, 60_000);

  test("edit does not overwrite what somebody else wrote, and loses no text", async () => {
    await printed([at, "put", "shared", "one\ntwo\nthree\n"]);
    // The first time somebody is quicker; the second time the marks are taken away.
    const putShared = `'${process.execPath}' '${script}' '${at}' put shared`;
    const racing = editor(
      "racing",
      `if grep -q '<<<<<<<' "$1"; then sed -i '/^[<=>]\\{7\\}/d' "$1"; else
         sed -i 's/two/mine/' "$1"
         printf 'one\\ntheirs\\nthree\\n' | ${putShared} >/dev/null
       fi`,
    );
    await using tmux = open(["edit", "shared"], { EDITOR: racing });
    const screen = await tmux.until("Bring both together in the editor? [Y/n]");
    expect(screen).toContain("shared was changed meanwhile, and was not overwritten");
    expect(screen).toContain("-two");
    expect(screen).toContain("+theirs");
    expect(await value("shared")).toBe("one\ntheirs\nthree\n\n");
    await tmux.press("Enter");
    await tmux.until(/written at revision \d+/);
    expect(await value("shared")).toBe("one\nmine\ntheirs\nthree\n\n");
    await using refused = open(["edit", "shared"], {
      EDITOR: editor("late", `echo more >>"$1"; ${putShared} other >/dev/null`),
    });
    await refused.until("[Y/n]");
    await refused.press("n", "Enter");
    await refused.until("your text is in");
    expect(await value("shared")).toBe("other\n");
    const kept = readdirSync(directory).filter((name) => name.startsWith("quoratectl-edit-"));
    expect(kept.length).toBeGreaterThan(0);
  }, 60_000);

  test("revert asks first; n leaves everything as it is", async () => {
    const put = await printed([at, "put", "r/a", "old", "-w=json"]);
    const { revision } = (JSON.parse(put) as { header: { revision: number } }).header;
    await printed([at, "put", "r/a", "new"]);
    await printed([at, "put", "r/b", "new"]);
    const args = ["revert", "--prefix", `--rev=${revision}`, "r/"];
    await using no = open(args);
    expect(await no.until("[y/N]")).toContain("- r/b");
    await no.press("Enter");
    await no.until("nothing was written");
    expect(await value("r/a")).toBe("new\n");
    await using yes = open(args);
    await yes.until("[y/N]");
    await yes.press("y", "Enter");
    await yes.until("2 keys are again what they were");
    expect(await value("r/a")).toBe("old\n");
    expect(await value("r/b")).toBe("");
  }, 60_000);

  test("colours are on a terminal and not in a pipe", async () => {
    await printed([at, "put", "c/a", "old"]);
    await printed([at, "put", "c/a", "new"]);
    await using tmux = open(["diff", "c/a"]);
    await tmux.until("+new");
    expect(await tmux.screen(true)).toContain("\u001b[31m-old");
    expect(await printed([at, "diff", "c/a"])).not.toContain("\u001b");
    await using plain = open(["diff", "c/a"], { NO_COLOR: "1" });
    await plain.until("+new");
    expect(await plain.screen(true)).not.toContain("\u001b[31m");
  }, 60_000);

  test("a watch goes on through a restart of the server, no event twice or lost", async () => {
    await using tmux = open(["watch", "--prefix", "w/"]);
    // A watch tells nothing of its beginning: keys are put until one shows.
    await eventually(
      async () => {
        await printed([at, "put", "w/begin", "x"]);
        return tmux.screen();
      },
      (screen) => expect(screen).toContain("w/begin"),
      30_000,
    );
    await printed([at, "put", "w/1", "before"]);
    await tmux.until("before");
    await member.stop("SIGKILL");
    await member.start();
    await printed([at, "put", "w/2", "between"]);
    await printed([at, "del", "w/1"]);
    await printed([at, "put", "w/3", "after"]);
    const screen = await tmux.until("after");
    const seen = screen.split("\n").filter((line) => /^(?:PUT|DELETE|w\/[123])$/.test(line));
    expect(seen.slice(-8)).toEqual(["PUT", "w/1", "PUT", "w/2", "DELETE", "w/1", "PUT", "w/3"]);
  }, 90_000);

  test("what takes over a second shows how far it has come, and leaves no trace", async () => {
    const lines = Array.from({ length: 60_000 }, (_, i) =>
      JSON.stringify({ key: `p/${i}`, value: "v".repeat(40) }),
    );
    const file = join(directory, "many.jsonl");
    writeFileSync(file, `${lines.join("\n")}\n`);
    await using tmux = open(["import", "--max-txn-ops=20", file]);
    const during = await tmux.until(/importing \[[# ]{30}\] +\d+% \d+ keys, \S+ left/, 60_000);
    expect(during).not.toContain("imported");
    const after = await tmux.until("60000 keys imported", 90_000);
    expect(after).not.toContain("importing");
  }, 180_000);
});
