// A unary range that is too large for one go. What the store gives is cut at some size; the rest is
// read piece by piece at the same revision, with turns for others between, and joined. So memory
// holds the answer once, and not every block and page that it came from.

import { type Caller, type Clock, grpcStatus, QuorateError, type Revision } from "../base/index.ts";
import { type CallContext, type ReplyBytes, RpcError } from "../grpc/index.ts";
import type { RangeQuery, RangeResult } from "../node/handle.ts";
import { permit } from "./callers.ts";
import type { ApiContext } from "./context.ts";
import { keyOfPair, successor } from "./pair-keys.ts";
import { checkRevision } from "./range-query.ts";
import { rangeReply } from "./replies.ts";

/** An answer that grows larger is refused: it would have to be in memory as a whole. */
const answerBytesMax = 512 * 1024 * 1024;

/** Whether `result` stops short of what was asked for. */
export function isCut(query: RangeQuery, result: RangeResult): boolean {
  return result.more && (query.limit === 0 || fieldCount(result) < query.limit);
}

/**
 * Reads on where `first` stops, which shows the pairs at `at` and was read when the store was at
 * `revision`. Throws "compacted" when compaction
 * overtakes it.
 */
export async function readOn(
  api: ApiContext,
  call: CallContext,
  caller: Caller | undefined,
  query: RangeQuery,
  first: RangeResult,
  at: Revision,
  revision: Revision,
): Promise<ReplyBytes> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  let keys = 0;
  let result = first;
  let more = first.more;
  for (;;) {
    const last = fieldsOf(result).at(-1);
    keys += fieldCount(result);
    const piece = joined(fieldsOf(result));
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > answerBytesMax) {
      throw new RpcError(
        grpcStatus.resourceExhausted,
        `grpc: trying to send message larger than max (${bytes} vs. ${answerBytesMax}); ` +
          "ask for fewer keys at a time or use RangeStream",
      );
    }
    if (!more || last === undefined || (query.limit > 0 && keys >= query.limit)) {
      break;
    }
    await aTurn(api.clock);
    if (call.cancelled) {
      throw new RpcError(grpcStatus.cancelled, "context canceled");
    }
    const rest: RangeQuery = {
      ...query,
      key: successor(keyOfPair(last)),
      revision: at,
      limit: query.limit === 0 ? 0 : query.limit - keys,
      uncounted: true,
    };
    result = await api.handle.read<RangeResult>(false, ({ store, auth }) => {
      permit(auth.checkRead(caller, rest.key, rest.rangeEnd));
      checkRevision(store, at);
      return store.range(rest);
    });
    more = result.more;
  }
  const whole = { kvs: [], fields: pieces, more, count: first.count };
  return rangeReply(api.headerField(revision), whole);
}

/** Whether a failure of `readOn` may be the last one: the same range at a newer revision may do. */
export function isOvertaken(error: unknown): boolean {
  return error instanceof QuorateError && error.code === "compacted";
}

function fieldsOf(result: RangeResult): readonly Uint8Array[] {
  return result.fields ?? result.kvs.map(({ field }) => field);
}

function fieldCount(result: RangeResult): number {
  return (result.fields ?? result.kvs).length;
}

function joined(fields: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(fields.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const field of fields) {
    whole.set(field, at);
    at += field.length;
  }
  return whole;
}

function aTurn(clock: Clock): Promise<void> {
  return new Promise((resolve) => clock.soon(resolve));
}
