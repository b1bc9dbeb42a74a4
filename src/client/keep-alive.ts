// Keeping a lease alive.

import { setTimeout as sleep } from "node:timers/promises";
import { grpcStatus } from "../base/index.ts";
import type { LeaseKeepAliveResponse } from "../wire/index.ts";
import type { CallOptions, Channels } from "./channels.ts";
import { ClientError } from "./client-error.ts";
import type { Renewals } from "./renewals.ts";
import { isStaleToken } from "./tokens.ts";

const retryPauseMs = 100;

/**
 * Renews once, on whichever endpoint answers: each gets half of the time that is left. A lease that
 * is gone has a TTL of 0 in the reply.
 */
export async function keepAliveOnce(
  channels: Channels,
  renewals: Renewals,
  id: bigint,
  options: CallOptions,
): Promise<LeaseKeepAliveResponse> {
  const { signal, deadline = 0 } = channels.limitsOf(options);
  const others = channels.endpoints.length > 1;
  for (;;) {
    const left = deadline - Date.now();
    const share = others && left > 2 * retryPauseMs ? left / 2 : left;
    try {
      return await renewals.renew(id, { signal, deadline: Date.now() + share });
    } catch (error) {
      if (!(error instanceof ClientError) || signal?.aborted === true || !isPassing(error)) {
        throw error;
      }
      if (channels.closed || Date.now() + retryPauseMs >= deadline) {
        throw error;
      }
      await sleep(retryPauseMs, undefined, { signal }).catch(() => {});
    }
  }
}

function isPassing(error: ClientError): boolean {
  return (
    error.status === grpcStatus.unavailable ||
    error.status === grpcStatus.deadlineExceeded ||
    error.status === grpcStatus.internal ||
    error.status === grpcStatus.cancelled ||
    isStaleToken(error)
  );
}

/**
 * Renews at a third of the TTL until the lease is gone or the loop is left; yields each reply with
 * a TTL above 0. What fails for a while is tried again until the lease must have expired.
 */
export async function* keepAlive(
  channels: Channels,
  renewals: Renewals,
  id: bigint,
  options: CallOptions,
): AsyncGenerator<LeaseKeepAliveResponse, void> {
  let expiresAt = Number.POSITIVE_INFINITY;
  while (options.signal?.aborted !== true) {
    const sentAt = Date.now();
    const timeoutMs = Math.min(options.timeoutMs ?? 5_000, expiresAt - sentAt);
    const reply = await keepAliveOnce(channels, renewals, id, { ...options, timeoutMs });
    if (reply.ttl <= 0) {
      return;
    }
    expiresAt = sentAt + reply.ttl * 1000;
    yield reply;
    await sleep((reply.ttl * 1000) / 3, undefined, { signal: options.signal }).catch(() => {});
  }
}
