// Completion in the shells themselves: what Tab makes of a line.

import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KvClient } from "../support/kv-client.ts";
import { ClusterProcesses } from "../support/processes.ts";
import { installed, Tmux } from "../support/tmux.ts";

const script = new URL("../../dist/cli/quoratectl.js", import.meta.url).pathname;
const shells = ["bash", "zsh", "fish"] as const;

let directory: string;
let cluster: ClusterProcesses;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "quorate-completion-"));
  cluster = await ClusterProcesses.start(1);
  const client = new KvClient(cluster.endpoints[0] as string);
  for (const key of ["/app/a", "/app/b/c", "/app/b/d", "/col:x=1", "/with space/z", "plain"]) {
    await client.put(key, "v");
  }
  client.close();
  const program = join(directory, "quoratectl");
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`);
  chmodSync(program, 0o755);
  writeFileSync(join(directory, "bashrc"), "PS1='> '\nsource <(quoratectl completion bash)\n");
  writeFileSync(
    join(directory, ".zshrc"),
    `PS1='> '\nautoload -U compinit; compinit -u -d ${directory}/dump\n` +
      "source <(quoratectl completion zsh)\n",
  );
  mkdirSync(join(directory, "fish"));
  writeFileSync(
    join(directory, "fish", "config.fish"),
    "function fish_prompt; echo '> '; end\nset fish_greeting\nset -g fish_autosuggestion_enabled 0\n" +
      "quoratectl completion fish | source\n",
  );
  writeFileSync(join(directory, "backup-of-today.db"), "");
}, 60_000);

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

function start(shell: (typeof shells)[number]): Tmux {
  const commands = {
    bash: ["bash", "--noprofile", "--rcfile", join(directory, "bashrc"), "-i"],
    zsh: ["zsh", "-i"],
    fish: ["fish", "-i"],
  };
  return Tmux.start(commands[shell], {
    directory,
    environment: {
      PATH: `${directory}:${process.env["PATH"] ?? ""}`,
      ETCDCTL_ENDPOINTS: cluster.endpoints[0] as string,
      HOME: directory,
      XDG_CONFIG_HOME: directory,
      ZDOTDIR: directory,
    },
  });
}

/** Types `text` on an empty line, presses Tab, and waits for what the line becomes. */
async function complete(tmux: Tmux, text: string, expected: string): Promise<void> {
  await tmux.press("C-u");
  await tmux.type(`quoratectl ${text}`);
  await tmux.until(`> quoratectl ${text}`);
  await tmux.press("Tab");
  await tmux.until(`> quoratectl ${expected}`);
}

describe.each(shells)("in %s", (shell) => {
  test.skipIf(!installed(["tmux", shell]))(
    "commands, flags, their values, keys and files",
    async () => {
      await using tmux = start(shell);
      await tmux.until(/^> $|^>$/m);
      await complete(tmux, "snap", "snapshot");
      await complete(tmux, "get --write-o", "get --write-out=");
      await complete(tmux, "get --write-out=ta", "get --write-out=table");
      await complete(tmux, "get pl", "get plain");
      await complete(tmux, "get /ap", "get /app/");
      await complete(tmux, "put /app/b", "put /app/b/");
      await complete(tmux, "get /col:", shell === "fish" ? "get /col:x" : "get /col:x=1");
      await complete(tmux, "get /with", "get /with\\ space/");
      await complete(tmux, "snapshot status backup-of", "snapshot status backup-of-today.db");
      await tmux.press("C-u");
      await tmux.type("quoratectl get /app/");
      await tmux.press("Tab");
      await tmux.press("Tab");
      const screen = await tmux.until("/app/b/");
      expect(screen).toContain("/app/a");
    },
    90_000,
  );
});
