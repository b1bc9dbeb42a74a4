// Keeping a lease alive.

import { setTimeout as sleep } from "node:timers/promises";
import { grpcStatus } from "../base/index.ts";
import { LeaseKeepAliveRequest, LeaseKeepAliveResponse } from "../wire/index.ts";
import { type CallLimits, type Channel, neverSent, toClientError } from "./channel.ts";
import type { CallOptions, Channels } from "./channels.ts";
import { ClientError } from "./client-error.ts";
import { keepAlivePath } from "./methods.ts";

/** Renews once, on whichever endpoint answers. A lease that is gone has a TTL of 0 in the reply. */
export async function keepAliveOnce(
  channels: Channels,
  id: bigint,
  options: CallOptions,
): Promise<LeaseKeepAliveResponse> {
  const limits = channels.limitsOf(options);
  for (;;) {
    const channel = channels.current();
    try {
      return await exchange(channel, id, limits);
    } catch (error) {
      const passing =
        error instanceof ClientError &&
        (error.status === grpcStatus.unavailable || neverSent(error)) &&
        Date.now() < (limits.deadline ?? 0) &&
        limits.signal?.aborted !== true;
      if (!passing) {
        throw error;
      }
      channels.leave(channel);
      await sleep(100);
    }
  }
}

/** One request and one reply on a stream of its own. */
function exchange(
  channel: Channel,
  id: bigint,
  limits: CallLimits,
): Promise<LeaseKeepAliveResponse> {
  return new Promise((resolve, reject) => {
    const stream = channel.stream(keepAlivePath, true);
    const timer = setTimeout(
      () => fail(new ClientError(grpcStatus.deadlineExceeded, "context deadline exceeded")),
      Math.max(0, (limits.deadline ?? 0) - Date.now()),
    );
    const finish = (): void => {
      clearTimeout(timer);
      limits.signal?.removeEventListener("abort", cancel);
      stream.cancel();
    };
    const fail = (error: ClientError): void => {
      finish();
      reject(error);
    };
    const cancel = (): void => fail(new ClientError(grpcStatus.cancelled, "context canceled"));
    limits.signal?.addEventListener("abort", cancel, { once: true });
    stream.on("data", (bytes: Uint8Array) => {
      finish();
      resolve(LeaseKeepAliveResponse.decode(bytes));
    });
    stream.on("error", (error) =>
      fail(toClientError(error as Parameters<typeof toClientError>[0])),
    );
    stream.on("end", () => fail(new ClientError(grpcStatus.unavailable, "the stream ended")));
    stream.write(LeaseKeepAliveRequest.encode({ id }));
  });
}

/**
 * Renews at a third of the TTL until the lease is gone or the loop is left; yields each reply with
 * a TTL above 0. What fails for a while is tried again until the lease must have expired.
 */
export async function* keepAlive(
  channels: Channels,
  id: bigint,
  options: CallOptions,
): AsyncGenerator<LeaseKeepAliveResponse, void> {
  let expiresAt = Number.POSITIVE_INFINITY;
  while (options.signal?.aborted !== true) {
    const timeoutMs = Math.min(options.timeoutMs ?? 5_000, expiresAt - Date.now());
    const reply = await keepAliveOnce(channels, id, { ...options, timeoutMs });
    if (reply.ttl <= 0) {
      return;
    }
    expiresAt = Date.now() + reply.ttl * 1000;
    yield reply;
    await sleep((reply.ttl * 1000) / 3, undefined, { signal: options.signal }).catch(() => {});
  }
}
