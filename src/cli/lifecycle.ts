// The life of the server process: start, signals, failure, exit. Exit codes: 0 after a stop that
// was asked for, 1 after a failure, 2 for a mistake in the flags, 130 when a second signal cut a
// stop short.

import type { Logger } from "../base/index.ts";
import type { ServerConfig } from "./config.ts";
import { causesOf, describeStartFailure } from "./start-failure.ts";

/** A server that accepts clients. */
export interface RunningServer {
  /** Hands leadership over, finishes what is under way and closes everything. Idempotent. */
  stop(): Promise<void>;
  /** Resolves when the node has stopped by itself, with the reason. */
  readonly failed: Promise<Error>;
}

/** Starts a server; rejects with the reason when it cannot. */
export type Serve = (config: ServerConfig, logger: Logger) => Promise<RunningServer>;

/**
 * A second signal this soon is the same one twice, milliseconds: on Ctrl-C the terminal signals
 * everything in the foreground, and npm passes its own signal on.
 */
const sameSignalMs = 500;
/** How long a stop may take before the process exits all the same, milliseconds. */
const stopTimeoutMs = 15_000;

/** Runs one server until it is told to stop or fails; then the process exits. */
export function runServer(serve: Serve, config: ServerConfig, logger: Logger): void {
  const exit = (code: number): never => process.exit(code);
  process.on("uncaughtException", (error) => {
    logger.error({ stack: error.stack }, `unexpected failure: ${error.message}`);
    exit(1);
  });

  const started = serve(config, logger).then(
    (server) => server,
    (error: unknown) => {
      const stack = error instanceof Error ? error.stack : undefined;
      logger.debug({ stack }, "where the failure came from");
      const causes = causesOf(error);
      const fields = causes.length === 0 ? {} : { causes };
      logger.error(fields, `failed to start: ${describeStartFailure(error)}`);
      return exit(1);
    },
  );

  let stoppingSinceMs = 0;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stoppingSinceMs > 0) {
      if (performance.now() - stoppingSinceMs < sameSignalMs) {
        return;
      }
      logger.warn({ signal }, "second signal; exiting at once");
      exit(130);
    }
    stoppingSinceMs = performance.now();
    logger.info({ signal }, "received signal; shutting down");
    setTimeout(() => {
      logger.error({ timeoutMs: stopTimeoutMs }, "stopping took too long; exiting");
      exit(1);
    }, stopTimeoutMs).unref();
    void stopAndExit();
  };
  const stopAndExit = async (): Promise<void> => {
    try {
      await (await started).stop();
      logger.info({}, "stopped");
      exit(0);
    } catch (error) {
      logger.error({}, `failed to stop: ${describeStartFailure(error)}`);
      exit(1);
    }
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);

  void started
    .then((server) => server.failed)
    .then((error) => {
      if (stoppingSinceMs === 0) {
        logger.error({ stack: error.stack }, `the node has stopped: ${error.message}`);
        exit(1);
      }
    });
}
