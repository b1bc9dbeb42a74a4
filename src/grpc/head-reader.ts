// Header blocks -> request heads, with a memory of the last few.
//
// A client that makes the same calls again sends the same bytes again, once its fields are in the
// dynamic table. As long as that table has not changed, the same bytes mean the same request.

import type { ConnectionShared } from "./connection.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { areTrailers, readHead, type RequestHead } from "./request-head.ts";

/** Longer blocks carry literals and will not come again. */
const memoBytesMax = 128;
const memoCount = 4;

interface Memo {
  readonly bytes: Uint8Array;
  readonly head: RequestHead;
}

export class HeadReader {
  readonly #shared: ConnectionShared;
  readonly #decoder: HpackDecoder;
  /** Valid for `#memoGeneration` of the decoder's table. */
  #memos: Memo[] = [];
  #memoGeneration = 0;
  #nextMemo = 0;

  constructor(shared: ConnectionShared) {
    this.#shared = shared;
    this.#decoder = new HpackDecoder(shared.limits);
  }

  /** A request's header block; throws HpackError. */
  readRequest(
    bytes: Uint8Array,
    start: number,
    end: number,
  ): RequestHead | "malformed" | "tooLarge" {
    const decoder = this.#decoder;
    if (this.#memoGeneration === decoder.generation) {
      for (const memo of this.#memos) {
        if (same(memo.bytes, bytes, start, end)) {
          return memo.head;
        }
      }
    }
    const { generation } = decoder;
    const fields = decoder.decode(bytes, start, end);
    if (decoder.tooLarge) {
      return "tooLarge";
    }
    const servesHttp = this.#shared.options.onHttpRequest !== undefined;
    const head = readHead(fields, this.#shared.router, servesHttp);
    if (head === undefined) {
      return "malformed";
    }
    if (decoder.generation === generation && end - start <= memoBytesMax) {
      this.#remember({ bytes: Uint8Array.from(bytes.subarray(start, end)), head });
    }
    return head;
  }

  /** A block on a stream that is open: whether it may be trailers; throws HpackError. */
  readTrailers(bytes: Uint8Array, start: number, end: number): boolean {
    const fields = this.#decoder.decode(bytes, start, end);
    return !this.#decoder.tooLarge && areTrailers(fields);
  }

  #remember(memo: Memo): void {
    const { generation } = this.#decoder;
    if (this.#memoGeneration !== generation) {
      this.#memoGeneration = generation;
      this.#memos = [];
      this.#nextMemo = 0;
    }
    this.#memos[this.#nextMemo] = memo;
    this.#nextMemo = (this.#nextMemo + 1) % memoCount;
  }
}

function same(memo: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (memo.length !== end - start) {
    return false;
  }
  for (let i = 0; i < memo.length; i++) {
    if (memo[i] !== bytes[start + i]) {
      return false;
    }
  }
  return true;
}
