// A closed loop: a fixed number of requests in flight over some connections for a fixed time,
// each answer at once followed by the next request. Latencies are kept whole and sorted.

import { performance } from "node:perf_hooks";
import { LoadConnection } from "./connection.ts";

export interface LoadResult {
  readonly requests: number;
  readonly errors: number;
  readonly seconds: number;
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface LoadOptions {
  readonly endpoints: readonly string[];
  readonly inFlight: number;
  readonly connections: number;
  readonly seconds: number;
  /** Stops after this many, whatever the time; undefined for no bound. */
  readonly requestsMax?: number | undefined;
  /** Path and message of the next request. */
  readonly next: () => { readonly path: string; readonly message: Uint8Array };
}

/** Runs the loop and gives its figures. */
export async function closedLoop(options: LoadOptions): Promise<LoadResult> {
  const connections = await Promise.all(
    Array.from({ length: options.connections }, (_, i) => {
      const [host, port] = (options.endpoints[i % options.endpoints.length] as string).split(":");
      return LoadConnection.open(host as string, Number(port));
    }),
  );
  const latencies: number[] = [];
  let errors = 0;
  let started = 0;
  const startMs = performance.now();
  const endMs = startMs + options.seconds * 1000;
  await new Promise<void>((resolve) => {
    let running = options.inFlight;
    const one = (connection: LoadConnection): void => {
      const sentMs = performance.now();
      if (sentMs >= endMs || started >= (options.requestsMax ?? Infinity)) {
        if (--running === 0) {
          resolve();
        }
        return;
      }
      started++;
      const { path, message } = options.next();
      connection.call(path, message, (reply) => {
        if (reply === undefined) {
          errors++;
        }
        latencies.push(performance.now() - sentMs);
        one(connection);
      });
    };
    for (let i = 0; i < options.inFlight; i++) {
      one(connections[i % connections.length] as LoadConnection);
    }
  });
  const seconds = (performance.now() - startMs) / 1000;
  for (const connection of connections) {
    connection.close();
  }
  return summarize(latencies, errors, seconds);
}

export function summarize(latencies: number[], errors: number, seconds: number): LoadResult {
  const sorted = Float64Array.from(latencies).sort();
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return {
    requests: latencies.length,
    errors,
    seconds,
    perSecond: (latencies.length - errors) / seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
  };
}
