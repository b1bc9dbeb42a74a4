// Software transactional memory, isolated as etcd's package concurrency calls it "serializable
// snapshot": a function reads at one revision and its writes are kept back; then one transaction
// checks that nothing it read or writes has changed since, and writes. If something has, the
// function runs anew. Ranges are read, too: a key that came into one is a change of it.

import { setTimeout as sleep } from "node:timers/promises";
import { compareBytes, bytesToHex } from "../base/index.ts";
import type { CallOptions } from "../client/index.ts";
import {
  Compare,
  CompareResult,
  CompareTarget,
  DeleteRangeRequest,
  type KeyValue,
  type PutRequest,
  RangeRequest,
  RequestOp,
} from "../wire/index.ts";
import type { Entry } from "./entry.ts";
import { ConflictError } from "./errors.ts";
import type { KeyRange, WireRange } from "./keys.ts";
import { type PutOptions, putRequest } from "./operations.ts";
import { callOptionsOf, type Scope } from "./scope.ts";

export interface MemoryOptions extends CallOptions {
  /** Runs of the function after which ConflictError is thrown; 100 when not given. */
  readonly attemptsMax?: number | undefined;
}

const attemptsMaxDefault = 100;
const pauseMsMax = 50;

/** What a function did, and at which revision its writes took place. */
export interface MemoryResult<Result> {
  readonly result: Result;
  /** The revision of the writes; of the reads, if nothing was written. */
  readonly revision: number;
  readonly attempts: number;
}

type Write =
  | { readonly kind: "put"; readonly request: PutRequest }
  | { readonly kind: "delete"; readonly key: Uint8Array };

/** What one run of a function has read and means to write. */
class Log {
  /** The revision of all reads; 0 before the first. */
  revision = 0;
  /** By the key in hex: what was read; undefined for a key that was not there. */
  readonly reads = new Map<string, { key: Uint8Array; kv: KeyValue | undefined }>();
  readonly ranges: WireRange[] = [];
  readonly writes = new Map<string, Write>();
}

/** The store as a function in `stm` sees it. Only the keys that it touches are checked. */
export class MemoryView<Out, In> {
  readonly #scope: Scope<Out, In>;
  readonly #log: Log;
  readonly #options: CallOptions;

  constructor(scope: Scope<Out, In>, log: Log, options: CallOptions) {
    this.#scope = scope;
    this.#log = log;
    this.#options = options;
  }

  /**
   * What is there, or what this function has put; an entry that was put has a `modRevision` of 0.
   */
  async get(key: string): Promise<Entry<Out> | undefined> {
    const wireKey = this.#scope.space.toWire(key);
    const written = this.#log.writes.get(bytesToHex(wireKey));
    if (written !== undefined) {
      return written.kind === "put" ? this.#written(written.request) : undefined;
    }
    const read = this.#log.reads.get(bytesToHex(wireKey));
    const kv = read === undefined ? await this.#read(wireKey) : read.kv;
    return await this.#scope.entries.decodeSome(kv);
  }

  /** All entries of a range, in the order of their keys, with what this function has written. */
  async list(range: KeyRange): Promise<Entry<Out>[]> {
    const wire = this.#scope.space.rangeToWire(range);
    const { client, entries } = this.#scope;
    const { revision } = this.#log;
    const reply = await client.range({ ...wire, revision }, callOptionsOf(this.#options));
    this.#log.revision ||= reply.header?.revision ?? 0;
    this.#log.ranges.push(wire);
    const found = new Map<string, KeyValue>();
    for (const kv of reply.kvs) {
      const hex = bytesToHex(kv.key);
      this.#log.reads.set(hex, { key: kv.key, kv });
      found.set(hex, kv);
    }
    const mine: Entry<Out>[] = [];
    for (const [hex, write] of this.#log.writes) {
      const key = write.kind === "put" ? write.request.key : write.key;
      if (contains(wire, key)) {
        found.delete(hex);
        if (write.kind === "put") {
          mine.push(await this.#written(write.request));
        }
      }
    }
    const all = [...(await entries.decodeAll([...found.values()])), ...mine];
    const order = (entry: Entry<Out>): Uint8Array => this.#scope.space.toWire(entry.key);
    return all.sort((a, b) => compareBytes(order(a), order(b)));
  }

  /** Puts when the function is done and nothing has changed. Rejects with InvalidValueError. */
  async put(key: string, value: In, options: Omit<PutOptions, "previous"> = {}): Promise<void> {
    const request = await putRequest(this.#scope, key, value, options);
    this.#log.writes.set(bytesToHex(request.key), { kind: "put", request });
  }

  /** Deletes when the function is done and nothing has changed. */
  delete(key: string): void {
    const wireKey = this.#scope.space.toWire(key);
    this.#log.writes.set(bytesToHex(wireKey), { kind: "delete", key: wireKey });
  }

  async #read(key: Uint8Array): Promise<KeyValue | undefined> {
    const { revision } = this.#log;
    const reply = await this.#scope.client.range({ key, revision }, callOptionsOf(this.#options));
    this.#log.revision ||= reply.header?.revision ?? 0;
    const [kv] = reply.kvs;
    this.#log.reads.set(bytesToHex(key), { key, kv });
    return kv;
  }

  async #written(request: PutRequest): Promise<Entry<Out>> {
    const { key, value, lease } = request;
    return await this.#scope.entries.decode({
      ...{ key, value, lease, createRevision: 0, modRevision: 0, version: 0 },
    });
  }
}

function contains({ key, rangeEnd }: WireRange, candidate: Uint8Array): boolean {
  if (rangeEnd.length === 0) {
    return compareBytes(key, candidate) === 0;
  }
  const open = rangeEnd.length === 1 && rangeEnd[0] === 0;
  return compareBytes(key, candidate) <= 0 && (open || compareBytes(candidate, rangeEnd) < 0);
}

/** "Changed at or before `revision`", for a key or for all keys of a range. */
function unchangedSince(range: WireRange, revision: number): Compare {
  return Compare.create({
    ...range,
    result: CompareResult.LESS,
    target: CompareTarget.MOD,
    targetUnion: { kind: "modRevision", value: revision + 1 },
  });
}

/** What must hold for the writes of `log` to take place. */
function conditionsOf(log: Log): Compare[] {
  const conditions = log.ranges.map((range) => unchangedSince(range, log.revision));
  for (const { key, kv } of log.reads.values()) {
    conditions.push(
      Compare.create({
        key,
        target: CompareTarget.MOD,
        targetUnion: { kind: "modRevision", value: kv?.modRevision ?? 0 },
      }),
    );
  }
  for (const [hex, write] of log.writes) {
    if (log.revision > 0 && !log.reads.has(hex)) {
      const key = write.kind === "put" ? write.request.key : write.key;
      conditions.push(unchangedSince({ key, rangeEnd: new Uint8Array(0) }, log.revision));
    }
  }
  return conditions;
}

function operationOf(write: Write): RequestOp {
  return RequestOp.create({
    request:
      write.kind === "put"
        ? { kind: "requestPut", value: write.request }
        : { kind: "requestDeleteRange", value: DeleteRangeRequest.create({ key: write.key }) },
  });
}

/**
 * Runs `work` until its writes took place, or it threw. Rejects with what `work` throws, with
 * ConflictError, or with ClientError (`uncertain` when the writes may have taken place).
 */
export async function runInMemory<Out, In, Result>(
  scope: Scope<Out, In>,
  work: (view: MemoryView<Out, In>) => Promise<Result> | Result,
  options: MemoryOptions,
): Promise<MemoryResult<Result>> {
  const attemptsMax = options.attemptsMax ?? attemptsMaxDefault;
  let before: Log | undefined;
  for (let attempts = 1; attempts <= attemptsMax; attempts++) {
    const log = new Log();
    if (before !== undefined) {
      await readAgain(scope, before, log, options);
    }
    const result = await work(new MemoryView(scope, log, options));
    if (log.writes.size === 0) {
      return { result, revision: log.revision, attempts };
    }
    const reply = await scope.client.txn(
      { compare: conditionsOf(log), success: [...log.writes.values()].map(operationOf) },
      callOptionsOf(options),
    );
    if (reply.succeeded) {
      return { result, revision: reply.header?.revision ?? 0, attempts };
    }
    before = log;
    const pauseMs = Math.random() * Math.min(pauseMsMax, 2 ** attempts);
    await sleep(pauseMs, undefined, { signal: options.signal }).catch(() => {});
  }
  throw new ConflictError(attemptsMax);
}

/** Reads in one call what the last run read one by one: the next one will most likely ask again. */
async function readAgain<Out, In>(
  scope: Scope<Out, In>,
  before: Log,
  log: Log,
  options: CallOptions,
): Promise<void> {
  const keys = [...before.reads.values()].map(({ key }) => key);
  if (keys.length === 0 || keys.length > prefetchMax) {
    return;
  }
  const success = keys.map((key) =>
    RequestOp.create({ request: { kind: "requestRange", value: RangeRequest.create({ key }) } }),
  );
  const reply = await scope.client.txn({ success }, callOptionsOf(options));
  log.revision = reply.header?.revision ?? 0;
  keys.forEach((key, index) => {
    const found = reply.responses[index]?.response;
    const kv = found?.kind === "responseRange" ? found.value.kvs[0] : undefined;
    log.reads.set(bytesToHex(key), { key, kv });
  });
}

/** Keys that are read again in one call; etcd's servers take 128 operations when not told. */
const prefetchMax = 100;
