// A range of any length, read in pieces at one revision: memory holds one piece, the server is
// asked for some megabytes at a time, and what is written meanwhile is not seen.

import { emptyBytes, grpcStatus } from "../../base/index.ts";
import { type Client, ClientError, openEnd } from "../../client/index.ts";
import type { KeyValue, RangeResponse } from "../../wire/index.ts";
import { CommandError, exitCodes, orFail } from "./failure.ts";

export interface KeySpan {
  readonly key: Uint8Array;
  /** Empty for one key; one zero byte for no end. */
  readonly rangeEnd: Uint8Array;
}

export interface PageOptions {
  /** 0 for the newest, as of the first piece. */
  readonly revision: number;
  readonly keysOnly?: boolean;
  readonly serializable?: boolean;
  /** Most keys in all; 0 for no limit. */
  readonly limit?: number;
}

const firstPageKeys = 200;
const pageKeysMax = 10_000;
const pageBytesTarget = 4 * 1024 * 1024;

/** Everything that can be read. */
export const wholeSpan: KeySpan = { key: openEnd, rangeEnd: openEnd };

/** Pieces of `span` in the order of keys; at least one, which may be empty. */
export async function* readPages(
  client: Client,
  span: KeySpan,
  options: PageOptions,
): AsyncGenerator<RangeResponse, void> {
  const { keysOnly = false, serializable = false } = options;
  let { revision } = options;
  let left = options.limit ?? 0;
  let from = span.key;
  let pageKeys = firstPageKeys;
  for (;;) {
    const limit = left > 0 ? Math.min(left, pageKeys) : pageKeys;
    const request = { key: from, rangeEnd: span.rangeEnd, revision, limit, keysOnly, serializable };
    const reply = await readPage(client, request, from !== span.key);
    revision ||= reply.header?.revision ?? 0;
    yield reply;
    const last = reply.kvs.at(-1);
    left -= reply.kvs.length;
    if (last === undefined || !reply.more || ((options.limit ?? 0) > 0 && left <= 0)) {
      return;
    }
    from = keyAfter(last.key);
    pageKeys = nextPageKeys(reply.kvs);
  }
}

async function readPage(
  client: Client,
  request: Parameters<Client["range"]>[0],
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

/** All of a small span. */
export async function readAll(
  client: Client,
  span: KeySpan,
  options: PageOptions,
): Promise<KeyValue[]> {
  const kvs: KeyValue[] = [];
  for await (const page of readPages(client, span, options)) {
    for (const pair of page.kvs) {
      kvs.push(pair);
    }
  }
  return kvs;
}

/** One key as a span. */
export function keySpan(key: Uint8Array): KeySpan {
  return { key, rangeEnd: emptyBytes };
}
