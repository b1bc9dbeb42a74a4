// Where a mirror or an import writes to: transactions of bounded size, sent until they are answered.
// Every operation says what a key is to be, so that sending one twice does no harm.

import { setTimeout as sleep } from "node:timers/promises";
import { grpcStatus } from "../../base/index.ts";
import { type Client, ClientError } from "../../client/index.ts";
import type { RequestOp } from "../../wire/index.ts";
import { orFail } from "./failure.ts";
import { type KeySpan, readPages } from "./pages.ts";

export interface DestinationOptions {
  readonly maxTxnOps: number;
  readonly signal: AbortSignal;
  /** Hears that the destination is away, and that it is back. */
  readonly tell: (text: string) => void;
}

/** etcd takes requests of 1.5 MiB; a larger single value has a transaction to itself. */
const txnBytesMax = 1024 * 1024;
const atOnce = 8;
const retryMsMin = 100;
const retryMsMax = 3_000;

const passing: ReadonlySet<number> = new Set([
  grpcStatus.unavailable,
  grpcStatus.deadlineExceeded,
  grpcStatus.cancelled,
]);

export class Destination {
  readonly #client: Client;
  readonly #options: DestinationOptions;
  #isAway = false;
  /** Operations that are there. */
  count = 0;

  constructor(client: Client, options: DestinationOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** Operations on different keys, in any order. */
  async putAll(operations: readonly RequestOp[]): Promise<void> {
    const pieces = this.#split(operations);
    for (let at = 0; at < pieces.length; at += atOnce) {
      await Promise.all(pieces.slice(at, at + atOnce).map((piece) => this.#commit(piece)));
    }
  }

  /**
   * Groups in their order. Small ones share a transaction, as long as they are of different keys;
   * only one that is too large for a transaction is split.
   */
  async applyAll(groups: readonly (readonly RequestOp[])[]): Promise<void> {
    let batch: RequestOp[] = [];
    let keys = new Set<string>();
    let bytes = 0;
    for (const group of groups) {
      const names = group.map((operation) => nameOf(operation));
      const groupBytes = group.reduce((sum, operation) => sum + sizeOf(operation), 0);
      const isFull =
        batch.length + group.length > this.#options.maxTxnOps || bytes + groupBytes > txnBytesMax;
      if (batch.length > 0 && (isFull || names.some((name) => keys.has(name)))) {
        await this.#commitInOrder(batch);
        batch = [];
        keys = new Set();
        bytes = 0;
      }
      batch.push(...group);
      names.forEach((name) => keys.add(name));
      bytes += groupBytes;
    }
    await this.#commitInOrder(batch);
  }

  async *keys(span: KeySpan): AsyncGenerator<Uint8Array, void> {
    for await (const page of readPages(this.#client, { ...span, keysOnly: true })) {
      for (const { key } of page.kvs) {
        yield key;
      }
    }
  }

  async #commitInOrder(operations: readonly RequestOp[]): Promise<void> {
    for (const piece of this.#split(operations)) {
      await this.#commit(piece);
    }
  }

  #split(operations: readonly RequestOp[]): RequestOp[][] {
    const pieces: RequestOp[][] = [];
    let bytes = 0;
    let names = new Set<string>();
    for (const operation of operations) {
      const piece = pieces.at(-1);
      const size = sizeOf(operation);
      const name = nameOf(operation);
      bytes += size;
      const isFull = bytes > txnBytesMax || (piece?.length ?? 0) >= this.#options.maxTxnOps;
      if (piece === undefined || isFull || names.has(name)) {
        pieces.push([operation]);
        bytes = size;
        names = new Set([name]);
      } else {
        piece.push(operation);
        names.add(name);
      }
    }
    return pieces;
  }

  async #commit(success: RequestOp[]): Promise<void> {
    for (let waitMs = retryMsMin; ; waitMs = Math.min(2 * waitMs, retryMsMax)) {
      this.#options.signal.throwIfAborted();
      try {
        await this.#client.txn({ success });
        this.count += success.length;
        if (this.#isAway) {
          this.#isAway = false;
          this.#options.tell("the destination answers again");
        }
        return;
      } catch (error) {
        if (!(error instanceof ClientError) || !passing.has(error.status)) {
          await orFail(Promise.reject(error), undefined, (text) => `the destination: ${text}`);
        }
        if (!this.#isAway) {
          this.#isAway = true;
          const text = error instanceof Error ? error.message : String(error);
          this.#options.tell(`the destination does not answer, trying again (${text})`);
        }
        await sleep(waitMs, undefined, { signal: this.#options.signal });
      }
    }
  }
}

function nameOf({ request }: RequestOp): string {
  return request !== undefined && "key" in request.value
    ? Buffer.from(request.value.key).toString("latin1")
    : "";
}

function sizeOf({ request }: RequestOp): number {
  return request?.kind === "requestPut"
    ? request.value.key.length + request.value.value.length + 32
    : 64;
}
