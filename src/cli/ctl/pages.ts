// A range of any length, read in pieces at one revision: memory holds one piece, the server is
// asked for some megabytes at a time, and what is written meanwhile is not seen.

import { emptyBytes, grpcStatus } from "../../base/index.ts";
import { type Client, ClientError } from "../../client/index.ts";
import type { KeyValue, RangeRequest, RangeResponse } from "../../wire/index.ts";
import { CommandError, exitCodes, orFail } from "./failure.ts";

export interface KeySpan {
  readonly key: Uint8Array;
  /** Empty for one key; one zero byte for no end. */
  readonly rangeEnd: Uint8Array;
}

const firstPageKeys = 200;
const pageKeysMax = 10_000;
const pageBytesTarget = 4 * 1024 * 1024;

/**
 * Pieces of the range that `request` asks for, in the order of keys; at least one, which may be
 * empty. A limit counts all of them together.
 */
export async function* readPages(
  client: Client,
  request: Partial<RangeRequest>,
): AsyncGenerator<RangeResponse, void> {
  const { key: first = emptyBytes, limit: most = 0 } = request;
  let { revision = 0 } = request;
  let key = first;
  let left = most;
  let pageKeys = firstPageKeys;
  for (;;) {
    const limit = most > 0 ? Math.min(left, pageKeys) : pageKeys;
    const reply = await readPage(client, { ...request, key, revision, limit }, key !== first);
    revision ||= reply.header?.revision ?? 0;
    yield reply;
    const last = reply.kvs.at(-1);
    left -= reply.kvs.length;
    if (last === undefined || !reply.more || (most > 0 && left <= 0)) {
      return;
    }
    key = keyAfter(last.key);
    pageKeys = nextPageKeys(reply.kvs);
  }
}

async function readPage(
  client: Client,
  request: Partial<RangeRequest>,
  isLater: boolean,
): Promise<RangeResponse> {
  try {
    return await client.range(request);
  } catch (error) {
    if (isLater && error instanceof ClientError && error.code === "compacted") {
      throw new CommandError(
        exitCodes.error,
        `revision ${request.revision} was compacted away while it was read`,
        "run the command again; a longer --auto-compaction-retention of the members gives it time",
        { cause: error },
      );
    }
    if (error instanceof ClientError && error.status === grpcStatus.resourceExhausted) {
      throw new CommandError(exitCodes.error, error.message, "--max-recv-bytes is the limit");
    }
    return orFail(Promise.reject(error));
  }
}

/** Such that a piece has about the size that is aimed at. */
function nextPageKeys(kvs: readonly KeyValue[]): number {
  const bytes = kvs.reduce((sum, { key, value }) => sum + key.length + value.length + 32, 0);
  const each = bytes / kvs.length;
  return Math.max(1, Math.min(pageKeysMax, Math.floor(pageBytesTarget / each)));
}

/** The first key behind `key`. */
export function keyAfter(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}

/** How many keys `span` has now, for a progress bar. */
export async function countKeys(client: Client, span: KeySpan, revision = 0): Promise<number> {
  const reply = await orFail(client.range({ ...span, revision, countOnly: true }));
  return reply.count;
}

/** One key as a span. */
export function keySpan(key: Uint8Array): KeySpan {
  return { key, rangeEnd: emptyBytes };
}
