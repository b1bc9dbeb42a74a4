// KV.RangeStream (etcd 3.7): a range in chunks, so that a big one needs little memory anywhere.
//
// The revision is pinned at the first chunk; later writes are not seen, and a compaction past it
// ends the stream with "compacted". Chunks hold disjoint pairs in key order and aim at the request
// limit in size; header, `more` and `count` come with the last one only. A chunk is read when the
// connection has taken the ones before it.

import { type Caller, emptyBytes, grpcStatus, type Revision } from "../base/index.ts";
import { RpcError, type StreamCall } from "../grpc/index.ts";
import type { RangeQuery, RangeResult } from "../node/handle.ts";
import { lengthPrefix, RangeRequest } from "../wire/index.ts";
import { permit } from "./callers.ts";
import type { ApiContext } from "./context.ts";
import { toRpcError } from "./errors.ts";
import { keyOf, successor } from "./pair-keys.ts";
import { checkRevision, rangeQuery } from "./range-query.ts";
import { pushRange } from "./replies.ts";
import { checkRange } from "./validate.ts";

const firstChunkKeys = 10;
const rangeResponseField = 1;

export function rangeStream(api: ApiContext, call: StreamCall): void {
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

interface Chunk {
  readonly result: RangeResult;
  readonly current: Revision;
}

async function send(api: ApiContext, call: StreamCall, bytes: Uint8Array): Promise<void> {
  const request = RangeRequest.decode(bytes);
  checkRange(request);
  checkPlain(request);
  let query: RangeQuery = { ...rangeQuery(request), sortTarget: "key", sortOrder: "none" };
  const limit = query.limit === 0 ? Number.POSITIVE_INFINITY : query.limit;
  const caller = api.callerOf(call);
  let chunkKeys = firstChunkKeys;
  let sent = 0;
  let pinned: Chunk | undefined;
  for (;;) {
    query = { ...query, limit: query.countOnly ? 0 : Math.min(chunkKeys, limit - sent) };
    const linearizable = pinned === undefined && !request.serializable;
    const chunk = await readChunk(api, linearizable, query, caller);
    if (pinned === undefined) {
      pinned = chunk;
      const revision = query.revision === 0 ? chunk.current : query.revision;
      query = { ...query, revision, uncounted: true };
    }
    const { kvs, more } = chunk.result;
    sent += kvs.length;
    const last = kvs.at(-1);
    if (!more || sent >= limit || last === undefined) {
      const header = api.headerField(pinned.current);
      await write(call, [header], { kvs, more, count: pinned.result.count });
      return;
    }
    const length = await write(call, [], { kvs, more: false, count: 0 });
    if (call.cancelled) {
      return;
    }
    query = { ...query, key: successor(keyOf(last.message)) };
    chunkKeys = nextChunkKeys(chunkKeys, length, api.options.requestBytesMax);
  }
}

async function readChunk(
  api: ApiContext,
  linearizable: boolean,
  query: RangeQuery,
  caller: Caller | undefined,
): Promise<Chunk> {
  return await api.handle.read<Chunk>(linearizable, ({ store, auth }) => {
    permit(auth.checkRead(caller, query.key, query.rangeEnd));
    checkRevision(store, query.revision);
    return { result: store.range(query), current: store.revision };
  });
}

/** Writes one RangeStreamResponse and waits while the connection is full; returns its bytes. */
async function write(call: StreamCall, head: Uint8Array[], result: RangeResult): Promise<number> {
  const parts: Uint8Array[] = [emptyBytes, ...head];
  const length = (head[0]?.length ?? 0) + pushRange(parts, result);
  parts[0] = lengthPrefix(rangeResponseField, length);
  if (!call.write(parts)) {
    await new Promise<void>((resolve) => {
      call.onDrain(resolve);
      call.onCancel(resolve);
    });
  }
  return length;
}

function checkPlain(request: RangeRequest): void {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  // Without an order the target says nothing; keys ascend anyway.
  const inKeyOrder = request.sortOrder === 1 && request.sortTarget === 0;
  if (request.sortOrder !== 0 && !inKeyOrder) {
    throw new RpcError(grpcStatus.unimplemented, "RangeStream does not support custom sort orders");
  }
  const modRevisions = minModRevision !== 0 || maxModRevision !== 0;
  if (modRevisions || minCreateRevision !== 0 || maxCreateRevision !== 0) {
    throw new RpcError(grpcStatus.unimplemented, "RangeStream does not support revision filters");
  }
}

/** Doubles or halves outside half to twice the target, so that it does not waver near it. */
function nextChunkKeys(keys: number, chunkBytes: number, targetBytes: number): number {
  if (chunkBytes < targetBytes / 2) {
    return keys * 2;
  }
  return chunkBytes > targetBytes * 2 ? Math.max(1, Math.floor(keys / 2)) : keys;
}
