// Maintenance.Snapshot: the backup file in messages of 32 KiB, then one with its SHA-256. What they
// say remains is of the file, without the hash, as in etcd.

import { createHash } from "node:crypto";
import { grpcStatus } from "../base/index.ts";
import { RpcError, type StreamCall } from "../grpc/index.ts";
import type { Backup } from "../node/handle.ts";
import { SnapshotRequest, SnapshotResponse } from "../wire/index.ts";
import type { ApiContext } from "./context.ts";
import { toRpcError } from "./errors.ts";

const blobBytes = 32 * 1024;
/** Read from the file at a time. */
const readBytes = 16 * blobBytes;

export function snapshot(api: ApiContext, call: StreamCall): void {
  let started = false;
  call.onMessage((bytes) => {
    if (started) {
      return;
    }
    started = true;
    send(api, call, bytes).then(
      () => call.end(),
      (error: unknown) => call.end(toRpcError(error, api.logger)),
    );
  });
  call.onHalfClose(() => {
    if (!started) {
      call.end(new RpcError(grpcStatus.internal, "the request is missing"));
    }
  });
}

async function send(api: ApiContext, call: StreamCall, bytes: Uint8Array): Promise<void> {
  SnapshotRequest.decode(bytes);
  const startedMs = api.clock.monotonicMs();
  const backup = await api.handle.backup(api.options.storageVersion);
  try {
    await sendFile(api, call, backup);
  } finally {
    await backup.close();
  }
  const elapsedMs = Math.round(api.clock.monotonicMs() - startedMs);
  const fields = { sizeBytes: backup.sizeBytes, elapsedMs };
  api.logger.info(fields, call.cancelled ? "sending of a snapshot broke off" : "sent a snapshot");
}

async function sendFile(api: ApiContext, call: StreamCall, backup: Backup): Promise<void> {
  const { sizeBytes } = backup;
  const hash = createHash("sha256");
  const write = async (blob: Uint8Array, remainingBytes: number): Promise<void> => {
    const message = SnapshotResponse.encode({
      // No header, in etcd too.
      header: undefined,
      remainingBytes,
      blob,
      version: api.options.storageVersion,
    });
    if (!call.write(message)) {
      await new Promise<void>((resolve) => {
        call.onDrain(resolve);
        call.onCancel(resolve);
      });
    }
  };
  for (let at = 0; at < sizeBytes && !call.cancelled; at += readBytes) {
    const chunk = await backup.read(at, Math.min(readBytes, sizeBytes - at));
    hash.update(chunk);
    for (let from = 0; from < chunk.length && !call.cancelled; from += blobBytes) {
      const blob = chunk.subarray(from, from + blobBytes);
      await write(blob, sizeBytes - at - from - blob.length);
    }
  }
  if (!call.cancelled) {
    await write(hash.digest(), 0);
  }
}
