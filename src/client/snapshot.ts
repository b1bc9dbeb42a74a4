// Maintenance.Snapshot: a member's backup as it comes.

import { grpcStatus } from "../base/index.ts";
import { SnapshotRequest, SnapshotResponse } from "../wire/index.ts";
import { type Channel, toClientError } from "./channel.ts";
import { ClientError } from "./client-error.ts";
import { snapshotPath } from "./methods.ts";

interface ServiceFailure extends Error {
  readonly code: number;
  readonly details: string;
}

/** Every message of one backup. Rejects with ClientError. Ends the call when it is left early. */
export async function* snapshotMessages(
  channel: Channel,
): AsyncGenerator<SnapshotResponse, undefined> {
  const stream = channel.stream(snapshotPath, false);
  stream.write(SnapshotRequest.encode({}));
  stream.end();
  try {
    for await (const bytes of stream as AsyncIterable<Uint8Array>) {
      yield SnapshotResponse.decode(bytes);
    }
  } catch (error) {
    throw isServiceFailure(error)
      ? toClientError(error as Parameters<typeof toClientError>[0])
      : new ClientError(grpcStatus.internal, String(error), { cause: error });
  } finally {
    stream.cancel();
  }
}

function isServiceFailure(error: unknown): error is ServiceFailure {
  return error instanceof Error && "code" in error && "details" in error;
}
