// What commands and flags etcdctl has, by its own help.

import { execFileSync } from "node:child_process";

function help(args: readonly string[]): string {
  const env = { ...process.env, ETCDCTL_API: "3" };
  return execFileSync("etcdctl", [...args], { env, timeout: 20_000 }).toString("latin1");
}

function section(text: string, title: string): string[] {
  const lines = text.split("\n");
  const from = lines.findIndex((line) => line.startsWith(`${title}:`));
  const to = lines.findIndex((line, i) => i > from && /^[A-Z ]+:$/.test(line));
  return from === -1 ? [] : lines.slice(from + 1, to === -1 ? undefined : to);
}

/** "auth enable", "get" and so on. */
export function commandsOf(): string[] {
  return section(help(["help"]), "COMMANDS")
    .map((line) => line.trim().split("\t")[0] ?? "")
    .filter((name) => name !== "");
}

/** The flags of a command itself, long names: "--prefix". */
export function flagsOf(command: string): string[] {
  return section(help([...command.split(" "), "--help"]), "OPTIONS")
    .map((line) => /(--[a-z-]+)/.exec(line)?.[1] ?? "")
    .filter((flag) => flag !== "" && flag !== "--help");
}

/** The formats that -w takes. */
export function formatsOf(): string[] {
  const [, list = ""] = /set the output format \(([^)]+)\)/.exec(help(["help"])) ?? [];
  return list.split(", ");
}
