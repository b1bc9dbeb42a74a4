// What a member says of itself at /metrics, which is served beside the API.

import { get as getPlain } from "node:http";
import { get as getSecure } from "node:https";
import type { Connection } from "./connection.ts";
import { CommandError, exitCodes, textOf } from "./failure.ts";

const timeoutMs = 5_000;

/** What a member answers: its metrics, and its clock minus ours. */
export interface MetricsReply {
  readonly text: string;
  readonly clockOffsetMs: number | undefined;
}

/** The text of /metrics at an endpoint. Fails with CommandError. */
export async function metricsText(connection: Connection, endpoint: string): Promise<string> {
  return (await metricsReply(connection, endpoint)).text;
}

/** Fails with CommandError. */
export async function metricsReply(
  connection: Connection,
  endpoint: string,
): Promise<MetricsReply> {
  const { tls } = connection;
  const hasScheme = /^https?:\/\//.test(endpoint);
  const base = hasScheme ? endpoint : `${tls === undefined ? "http" : "https"}://${endpoint}`;
  const url = new URL("/metrics", base);
  const options = {
    timeout: timeoutMs,
    agent: false as const,
    ...(tls?.ca === undefined ? {} : { ca: Buffer.from(tls.ca) }),
    ...(tls?.certificate === undefined ? {} : { cert: Buffer.from(tls.certificate) }),
    ...(tls?.privateKey === undefined ? {} : { key: Buffer.from(tls.privateKey) }),
    ...(tls?.serverName === undefined ? {} : { servername: tls.serverName }),
    ...(tls?.insecureSkipVerify === true ? { rejectUnauthorized: false } : {}),
  };
  try {
    const startedMs = Date.now();
    return await new Promise<MetricsReply>((resolve, reject) => {
      const request = (url.protocol === "https:" ? getSecure : getPlain)(url, options, (reply) => {
        let text = "";
        reply.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        reply.once("error", reject);
        reply.once("end", () => {
          if (reply.statusCode === 200) {
            resolve({ text, clockOffsetMs: offsetOf(reply.headers.date, startedMs) });
          } else {
            reject(new Error(`${url.href} answered ${reply.statusCode}`));
          }
        });
      });
      request.once("timeout", () => request.destroy(new Error(`${url.href} does not answer`)));
      request.once("error", reject);
    });
  } catch (error) {
    throw new CommandError(
      exitCodes.error,
      `cannot read metrics: ${textOf(error)}`,
      "the first of --endpoints must serve /metrics beside the API",
      { cause: error },
    );
  }
}

/** The header counts whole seconds: half of one is the middle. */
function offsetOf(date: string | undefined, startedMs: number): number | undefined {
  const theirs = date === undefined ? Number.NaN : Date.parse(date);
  return Number.isFinite(theirs) ? theirs + 500 - (startedMs + Date.now()) / 2 : undefined;
}

/** How much memory the process at an endpoint has. Fails with CommandError. */
export async function residentBytes(connection: Connection, endpoint: string): Promise<number> {
  const text = await metricsText(connection, endpoint);
  const value = Number(/^process_resident_memory_bytes (\S+)$/m.exec(text)?.[1]);
  if (!(value > 0)) {
    throw new CommandError(
      exitCodes.error,
      `${endpoint} has no metric process_resident_memory_bytes`,
    );
  }
  return value;
}
