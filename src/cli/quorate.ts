// The server's main module, without the size of the thread pool: quorate.cts sets that first.

import { buildConfig } from "./build-config.ts";
import type { ServerConfig } from "./config.ts";
import { ConfigError } from "./config-error.ts";
import { lookUpFlag } from "./flags/index.ts";
import { helpText } from "./help.ts";
import { runServer, type Serve } from "./lifecycle.ts";
import { createLogger } from "./logger.ts";
import { collectSettings, type Notice, parseArguments } from "./settings.ts";
import { versionText } from "./version.ts";

/** What the arguments ask for. */
type Request =
  | { readonly kind: "print"; readonly text: string }
  | { readonly kind: "serve"; readonly config: ServerConfig; readonly notices: readonly Notice[] };

function readRequest(args: readonly string[]): Request {
  const line = parseArguments(args);
  if (line.kind === "help") {
    return { kind: "print", text: helpText(process.stdout.columns ?? 80) };
  }
  if (line.flags.get("version")?.text === "true") {
    const found = lookUpFlag("emulate-version");
    const given = line.flags.get("emulate-version")?.text;
    return {
      kind: "print",
      text: versionText(given ?? (found.kind === "flag" ? found.flag.default : "")),
    };
  }
  const settings = collectSettings(line.flags, process.env);
  return { kind: "serve", ...buildConfig(settings, process.stderr.isTTY) };
}

/** What the server makes is for its own user: data, logs, keys. */
const creationMask = 0o077;

const progressIntervalMs = 500;

/** Reads a data directory and ends; loads storage only when asked to. */
async function check(args: readonly string[]): Promise<void> {
  const { runCheckData } = await import("./check-data.ts");
  let drawnMs = performance.now();
  const isDue = (): boolean => performance.now() - drawnMs > progressIntervalMs;
  process.exitCode = await runCheckData(args, {
    out: (text) => process.stdout.write(text),
    progress: (text) => {
      if (process.stderr.isTTY && (text === "" || isDue())) {
        drawnMs = performance.now();
        process.stderr.write(`\r\u001b[K${text}`);
      }
    },
  });
}

/** Runs a gateway until it is told to stop. */
async function pass(args: readonly string[]): Promise<void> {
  const { runGateway } = await import("./tcp-gateway.ts");
  try {
    process.exitCode = await runGateway(args);
  } catch (error) {
    fail(error);
  }
}

function main(): void {
  const [first, ...rest] = process.argv.slice(2);
  if (first === "check-data") {
    void check(rest);
    return;
  }
  if (first === "gateway") {
    void pass(rest);
    return;
  }
  const request = readRequest(process.argv.slice(2));
  if (request.kind === "print") {
    process.stdout.write(request.text);
    return;
  }
  const { config, notices } = request;
  process.umask(creationMask);
  const colours = process.stderr.isTTY && (process.env["NO_COLOR"] ?? "") === "";
  const logger = createLogger(config.log, colours);
  for (const notice of notices) {
    logger[notice.level](notice.fields, notice.message);
  }
  runServer(startServing, config, logger);
}

/** Loads the server only now, so that --version and a mistyped flag are answered at once. */
const startServing: Serve = async (config, logger) => {
  const { serve } = await import("./serve.ts");
  return serve(config, logger);
};

function fail(error: unknown): void {
  if (!(error instanceof ConfigError)) {
    throw error;
  }
  process.stderr.write(`quorate: ${error.message}\n`);
  process.exitCode = error.exitCode;
}

try {
  main();
} catch (error) {
  fail(error);
}
