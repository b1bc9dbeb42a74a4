// What etcdctl's own help lists is there: every command with a row that compares it, every flag.

import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { globalFlags } from "../../../src/cli/ctl/settings.ts";
import { verbs } from "../../../src/cli/ctl/verbs.ts";
import { etcdctl, hasEtcdctl, quoratectl } from "./both.ts";
import { allRows } from "./rows.ts";

/** Commands without a row, and why. */
const elsewhere: Readonly<Record<string, string>> = {
  "auth enable": "users.test.ts: it changes what every other row may do",
  "completion bash": "a script of its own, tried in a shell by test/terminal",
  "completion fish": "a script of its own, tried in a shell by test/terminal",
  "completion zsh": "a script of its own, tried in a shell by test/terminal",
  "completion powershell": "not offered",
  migrate: "for stores of etcd 2, which Quorate never had",
};

function helpOf(...topic: readonly string[]): string {
  return spawnSync("etcdctl", ["help", ...topic], {
    encoding: "utf8",
    env: { ...process.env, ETCDCTL_API: "3" },
  }).stdout;
}

/** The commands that etcdctl's help lists. */
function listedCommands(): string[] {
  const [, list = ""] = /\nCOMMANDS:\n([^]*?)\n\n/.exec(helpOf()) ?? [];
  return list.split("\n").map((line) => /^\t(\S.*?)\t/.exec(line)?.[1] ?? `unread: ${line}`);
}

describe.skipIf(!hasEtcdctl)("etcdctl's help", () => {
  const commands = hasEtcdctl ? listedCommands() : [];

  it("was read", () => {
    expect(commands.length).toBeGreaterThan(40);
    expect(commands).toContain("role grant-permission");
  });

  it("lists no command without a row", () => {
    const known = new Set(allRows.map((row) => row.command));
    const missing = commands.filter((name) => !known.has(name) && elsewhere[name] === undefined);
    expect(missing).toEqual([]);
  });

  it("lists no command that quoratectl does not have", () => {
    const names = new Set(["help", "migrate", ...verbs.map(({ name }) => name)]);
    // The shell is a word of `completion`, not a command.
    const missing = commands.filter((name) => !names.has(name.replace(/^(completion) .*/, "$1")));
    expect(missing).toEqual([]);
  });

  it.each(commands.filter((name) => !/^(?:help|migrate|completion .*)$/.test(name)))(
    "lists no flag of %s that quoratectl does not take",
    (name) => {
      const options = helpOf(...name.split(" "));
      const flags = [...options.matchAll(/^ +(?:-(\w), )?--([\w-]+)/gm)];
      expect(flags.length).toBeGreaterThan(5);
      const verb = verbs.find((one) => one.name === name);
      const known = [...(verb?.flags ?? []), ...globalFlags, { name: "help", short: "h" }];
      const missing = flags.filter(
        ([, short, long]) => !known.some((flag) => flag.name === long && flag.short === short),
      );
      expect(missing.map(([text]) => text.trim())).toEqual([]);
    },
  );
});

describe("help", () => {
  it.each(verbs.map(({ name }) => name))("of %s has an example", async (name) => {
    const { exit, out, err } = await quoratectl([...name.split(" "), "--help"]);
    expect({ exit, err }).toEqual({ exit: 0, err: "" });
    expect(out).toContain(`Usage: quoratectl ${name}`);
    expect(out.slice(out.indexOf("Examples:"))).toContain(`quoratectl ${name}`);
    expect(await quoratectl(["help", ...name.split(" ")])).toEqual({ exit, out, err });
  });

  it("of a family, and of nothing, lists commands and exits well", async () => {
    for (const [args, line] of [
      [[], "quoratectl get"],
      [["lease"], "quoratectl lease grant"],
      [["--help"], "quoratectl get"],
      [["-w", "json", "help", "lease"], "quoratectl lease grant"],
      [["options"], "--write-out"],
    ] as const) {
      const { exit, out } = await quoratectl(args);
      expect(exit).toBe(0);
      expect(out).toContain(line);
    }
    const missing = await quoratectl(["help", "nope"]);
    expect(missing).toMatchObject({ exit: 0, err: "Unknown help topic [`nope`]\n" });
    if (hasEtcdctl) {
      expect(etcdctl(["help", "nope"])).toMatchObject({ exit: 0, err: missing.err });
    }
  });
});
