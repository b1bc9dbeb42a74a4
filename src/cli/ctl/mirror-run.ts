// The run of a mirror: the copy, then the changes.

import { utf8 } from "../../base/index.ts";
import {
  type Client,
  ClientError,
  CompactedError,
  prefixRange,
  type Watcher,
} from "../../client/index.ts";
import {
  type KeyValue,
  type RangeResponse,
  type RequestOp,
  DeleteRangeRequest,
  PutRequest,
} from "../../wire/index.ts";
import { EventType, type WatchResponse } from "../../wire/index.ts";
import type { Context } from "./context.ts";
import { CommandError, exitCodes, orFail } from "./failure.ts";
import { Destination } from "./mirror-destination.ts";
import { changesBetween } from "./mirror-catch-up.ts";
import { type MirrorIdentity, type MirrorPoint } from "./mirror-state.ts";
import { readMirrorState, writeMirrorState } from "./mirror-state.ts";
import { countKeys, keyAfter, type KeySpan, readPages } from "./pages.ts";

export interface MirrorOptions {
  readonly prefix: string;
  readonly destinationPrefix: string;
  /** 0 to copy first. */
  readonly fromRevision: number;
  readonly maxTxnOps: number;
  /** Path; empty for none. */
  readonly checkpoint: string;
  readonly prunes: boolean;
  readonly endsWhenInStep: boolean;
}

/** etcdctl prints its count as often. */
const reportIntervalMs = 30_000;
const checkpointIntervalMs = 1_000;

export class Mirror {
  readonly #context: Context;
  readonly #source: Client;
  readonly #destination: Destination;
  readonly #identity: MirrorIdentity;
  readonly #options: MirrorOptions;
  readonly #span: KeySpan;
  readonly #interrupted: AbortSignal;
  #writtenMs = 0;

  constructor(
    context: Context,
    destination: Client,
    identity: MirrorIdentity,
    options: MirrorOptions,
  ) {
    this.#context = context;
    this.#source = context.client;
    this.#identity = identity;
    this.#options = options;
    this.#span = prefixRange(options.prefix);
    this.#interrupted = context.io.interruption();
    this.#destination = new Destination(destination, {
      maxTxnOps: options.maxTxnOps,
      signal: this.#interrupted,
      tell: (text) => context.io.errorLine(text),
    });
  }

  async run(): Promise<void> {
    const { io } = this.#context;
    const timer = setInterval(() => io.line(String(this.#destination.count)), reportIntervalMs);
    try {
      const start = await this.#start();
      const copied = start.copyFrom === undefined ? start.revision : await this.#copy(start);
      await (this.#options.endsWhenInStep ? this.#catchUp(copied) : this.#follow(copied));
    } catch (error) {
      if (!this.#interrupted.aborted || error instanceof CommandError) {
        throw error;
      }
    } finally {
      clearInterval(timer);
    }
    if (this.#interrupted.aborted) {
      throw new CommandError(exitCodes.interrupted, "");
    }
    io.line(String(this.#destination.count));
  }

  async #start(): Promise<MirrorPoint> {
    const { checkpoint, fromRevision } = this.#options;
    const stored =
      checkpoint === "" ? undefined : await readMirrorState(checkpoint, this.#identity);
    if (stored !== undefined) {
      return stored;
    }
    return fromRevision > 0
      ? { revision: fromRevision - 1, copyFrom: undefined }
      : { revision: 0, copyFrom: this.#span.key };
  }

  /** Resolves with the revision that everything was copied at. */
  async #copy(start: MirrorPoint): Promise<number> {
    const { copyFrom = this.#span.key } = start;
    const span = { key: copyFrom, rangeEnd: this.#span.rangeEnd };
    using progress = this.#context.progress("copying");
    const total = await countKeys(this.#source, span);
    let { revision } = start;
    let done = 0;
    for await (const page of this.#pages(span, revision)) {
      this.#interrupted.throwIfAborted();
      revision ||= page.header?.revision ?? 0;
      await this.#destination.putAll(page.kvs.map((pair) => this.#putOf(pair)));
      done += page.kvs.length;
      progress.count(done, "keys", total);
      const last = page.kvs.at(-1);
      if (last !== undefined) {
        await this.#save({ revision, copyFrom: keyAfter(last.key) }, false);
      }
    }
    if (this.#options.prunes) {
      await this.#prune(revision);
    }
    await this.#save({ revision, copyFrom: undefined }, true);
    return revision;
  }

  async *#pages(span: KeySpan, revision: number): AsyncGenerator<RangeResponse, void> {
    try {
      yield* readPages(this.#source, { ...span, revision });
    } catch (error) {
      throw revision > 0 && isCompacted(error) ? forgotten(revision, error) : error;
    }
  }

  /** Both sides in the order of keys: what only the destination has is deleted. */
  async #prune(revision: number): Promise<void> {
    const cut = utf8(this.#options.destinationPrefix).length;
    const kept = keysOf(readPages(this.#source, { ...this.#span, revision, keysOnly: true }));
    const there = this.#destination.keys(prefixRange(this.#options.destinationPrefix));
    const skip = utf8(this.#options.prefix).length;
    let next = await kept.next();
    const surplus: RequestOp[] = [];
    for await (const key of there) {
      const tail = Buffer.from(key.subarray(cut));
      const before = (): boolean =>
        next.done !== true && Buffer.compare(next.value.subarray(skip), tail) < 0;
      while (before()) {
        next = await kept.next();
      }
      if (next.done === true || Buffer.compare(next.value.subarray(skip), tail) !== 0) {
        surplus.push(deleteOf(key));
      }
      if (surplus.length >= this.#options.maxTxnOps) {
        await this.#destination.putAll(surplus.splice(0));
      }
    }
    await this.#destination.putAll(surplus);
  }

  /** Everything up to what is the newest revision now. */
  async #catchUp(from: number): Promise<void> {
    const to = await this.#newest();
    using progress = this.#context.progress("catching up");
    try {
      for await (const { puts, deletes } of changesBetween(this.#source, this.#span, from, to)) {
        this.#interrupted.throwIfAborted();
        await this.#destination.putAll([
          ...puts.map((pair) => this.#putOf(pair)),
          ...deletes.map((key) => deleteOf(this.#keyOf(key))),
        ]);
        progress.count(this.#destination.count, "changes");
      }
    } catch (error) {
      throw isCompacted(error) ? forgotten(from, error) : error;
    }
    await this.#save({ revision: to, copyFrom: undefined }, true);
  }

  async #follow(copiedAt: number): Promise<void> {
    let revision = copiedAt;
    const watcher = this.#source.watch(
      { ...this.#span, startRevision: revision + 1, progressNotify: true },
      { signal: this.#interrupted },
    );
    try {
      for await (const reply of this.#replies(watcher, revision)) {
        await this.#apply(reply);
        revision = Math.max(revision, revisionOf(reply));
        await this.#save({ revision, copyFrom: undefined }, false);
      }
    } finally {
      await this.#save({ revision, copyFrom: undefined }, true);
    }
  }

  async *#replies(watcher: Watcher, from: number): AsyncGenerator<WatchResponse, void> {
    try {
      yield* watcher;
    } catch (error) {
      if (error instanceof CompactedError) {
        throw forgotten(from, error);
      }
      await orFail(Promise.reject(error));
    }
  }

  /** Events of one revision stay together in one transaction, if it is large enough. */
  async #apply({ events }: WatchResponse): Promise<void> {
    let group: RequestOp[] = [];
    let groupRevision = 0;
    const groups: RequestOp[][] = [];
    for (const { type, kv } of events) {
      if (kv === undefined) {
        continue;
      }
      if (kv.modRevision !== groupRevision) {
        group = [];
        groups.push(group);
        groupRevision = kv.modRevision;
      }
      const key = this.#keyOf(kv.key);
      group.push(type === EventType.DELETE ? deleteOf(key) : this.#putOf(kv));
    }
    await this.#destination.applyAll(groups);
  }

  async #newest(): Promise<number> {
    const request = { ...this.#span, countOnly: true };
    const { header } = await orFail(this.#source.range(request));
    return header?.revision ?? 0;
  }

  #keyOf(key: Uint8Array): Uint8Array {
    const { prefix, destinationPrefix } = this.#options;
    const tail = key.subarray(utf8(prefix).length);
    return Buffer.concat([utf8(destinationPrefix), tail]);
  }

  #putOf({ key, value }: KeyValue): RequestOp {
    const request = PutRequest.create({ key: this.#keyOf(key), value });
    return { request: { kind: "requestPut", value: request } };
  }

  async #save(point: MirrorPoint, now: boolean): Promise<void> {
    const nowMs = performance.now();
    const { checkpoint } = this.#options;
    if (checkpoint !== "" && (now || nowMs - this.#writtenMs > checkpointIntervalMs)) {
      this.#writtenMs = nowMs;
      await writeMirrorState(checkpoint, this.#identity, point);
    }
  }
}

function isCompacted(error: unknown): boolean {
  const { cause } = error instanceof CommandError ? error : { cause: error };
  return cause instanceof ClientError && cause.code === "compacted";
}

/** Changes that nobody can tell any more. */
function forgotten(revision: number, cause: unknown): CommandError {
  return new CommandError(
    exitCodes.error,
    `the source has compacted what changed after revision ${revision}`,
    "delete the --checkpoint file and copy anew with --prune, which also deletes at the " +
      "destination what was deleted meanwhile",
    { cause },
  );
}

function deleteOf(key: Uint8Array): RequestOp {
  return { request: { kind: "requestDeleteRange", value: DeleteRangeRequest.create({ key }) } };
}

/** How far a watch has come. A reply without its id tells nothing (see mirror-catch-up.ts). */
function revisionOf({ events, header, watchId }: WatchResponse): number {
  return events.at(-1)?.kv?.modRevision ?? (watchId < 0 ? 0 : (header?.revision ?? 0));
}

async function* keysOf(
  pages: AsyncIterable<{ readonly kvs: readonly KeyValue[] }>,
): AsyncGenerator<Uint8Array, void> {
  for await (const { kvs } of pages) {
    for (const { key } of kvs) {
      yield key;
    }
  }
}
