// `npm run cluster`: three members as three processes on this machine, until Ctrl-C.
// Their data stays in cluster/data; delete that folder to begin anew.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { styleText } from "node:util";
import { parse } from "yaml";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..");
const names = ["node1", "node2", "node3"];
const colours = ["cyan", "yellow", "magenta"];
const readyLine = "ready to serve client requests";

// On Ctrl-C the terminal signals everything in the foreground, and npm passes its own signal on.
const sameSignalMs = 500;

/** Members that run, by name. */
const running = new Map();
let ready = 0;
let stopping = false;
let signalledMs = Number.NEGATIVE_INFINITY;

function configOf(name) {
  return parse(readFileSync(join(here, `${name}.yml`), "utf8"));
}

function paint(colour, text) {
  return process.stdout.isTTY ? styleText(colour, text) : text;
}

function start(name, index) {
  const label = paint(colours[index], name);
  const member = spawn(
    process.execPath,
    [
      join(root, "dist/cli/quorate.cjs"),
      `--config-file=${join(here, `${name}.yml`)}`,
      "--log-format=console",
    ],
    // A group of its own, so that Ctrl-C reaches the members through us, once.
    { cwd: root, stdio: ["ignore", "pipe", "pipe"], detached: true },
  );
  running.set(name, member);
  for (const stream of [member.stdout, member.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      console.log(`${label} | ${line}`);
      if (line.includes(readyLine)) {
        ready++;
        if (ready === names.length) {
          printHowToTry();
        }
      }
    });
  }
  member.on("exit", (code, signal) => {
    running.delete(name);
    if (!stopping) {
      console.error(`${label} ended by itself (${signal ?? `exit code ${code}`})`);
      process.exitCode = 1;
      stop("SIGTERM");
    } else if (code !== 0) {
      console.error(`${label} did not stop cleanly (${signal ?? `exit code ${code}`})`);
      process.exitCode = 1;
    }
  });
}

function stop(signal) {
  stopping = true;
  for (const member of running.values()) {
    member.kill(signal);
  }
}

function printHowToTry() {
  const endpoints = names
    .map((name) => configOf(name)["advertise-client-urls"].replace("http://", ""))
    .join(",");
  console.log(`
Three members are ready: ${endpoints}
Try:
  etcdctl --endpoints=${endpoints} put hello world
  node dist/cli/quoratectl.js --endpoints=${endpoints} get hello
  node dist/cli/quoratectl.js --endpoints=${endpoints} endpoint status -w table
Stop with Ctrl-C.
`);
}

names.forEach(start);
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    if (performance.now() - signalledMs >= sameSignalMs) {
      signalledMs = performance.now();
      stop(stopping ? "SIGKILL" : "SIGTERM");
    }
  });
}
