// What transactions are made of: conditions, and operations that know the type of their result.

import {
  Compare,
  CompareResult,
  CompareTarget,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  type ResponseOp,
} from "../wire/index.ts";
import type { Awaitable } from "./codecs.ts";
import type { Entry } from "./entry.ts";
import type { KeyRange } from "./keys.ts";
import { type LeaseLike, leaseIdOf, type Scope } from "./scope.ts";

/** One step of a transaction. Made by `store.op`. */
export interface Operation<Result> {
  /** Its message; rejects with InvalidValueError. */
  request(): Awaitable<RequestOp>;
  /** What became of it; `revision` is the transaction's. */
  result(response: ResponseOp | undefined, revision: number): Awaitable<Result>;
}

/** A condition of a transaction; made by `store.when`. */
export interface Condition {
  compare(): Awaitable<Compare>;
}

export interface PutOptions {
  /** The key ends with this lease. Without it, a lease that the key has is taken off. */
  readonly lease?: LeaseLike | undefined;
  /** Leaves the key with the lease that it has; the key must exist. */
  readonly keepLease?: boolean | undefined;
  /** Also returns what was there before. */
  readonly previous?: boolean | undefined;
}

export interface PutResult<V> {
  /** The revision of this change: the entry's `modRevision` now. */
  readonly revision: number;
  /** What was there before, if that was asked for and something was. */
  readonly previous: Entry<V> | undefined;
}

export interface DeleteOptions {
  /** Also returns what was there before. */
  readonly previous?: boolean | undefined;
}

export interface DeleteResult<V> {
  readonly revision: number;
  /** How many keys were deleted. */
  readonly deleted: number;
  /** What they were, if that was asked for. */
  readonly previous: readonly Entry<V>[];
}

export interface ListOptions {
  readonly limit?: number | undefined;
}

export interface ListResult<V> {
  readonly entries: readonly Entry<V>[];
  /** How many there are in the range, beyond a limit, too. */
  readonly count: number;
}

/** Makes the operations of transactions. */
export class Operations<Out, In> {
  readonly #scope: Scope<Out, In>;

  constructor(scope: Scope<Out, In>) {
    this.#scope = scope;
  }

  get(key: string): Operation<Entry<Out> | undefined> {
    const { entries, space } = this.#scope;
    const value = RangeRequest.create({ key: space.toWire(key) });
    return {
      request: () => RequestOp.create({ request: { kind: "requestRange", value } }),
      result: (response) => entries.decodeSome(rangeOf(response)?.kvs[0]),
    };
  }

  list(range: KeyRange, options: ListOptions = {}): Operation<ListResult<Out>> {
    const { entries, space } = this.#scope;
    const { limit = 0 } = options;
    const value = RangeRequest.create({ ...space.rangeToWire(range), limit });
    return {
      request: () => RequestOp.create({ request: { kind: "requestRange", value } }),
      result: async (response) => {
        const found = rangeOf(response);
        return { entries: await entries.decodeAll(found?.kvs ?? []), count: found?.count ?? 0 };
      },
    };
  }

  put(key: string, value: In, options: PutOptions = {}): Operation<PutResult<Out>> {
    const { entries } = this.#scope;
    return {
      request: async () => {
        const request = await putRequest(this.#scope, key, value, options);
        return RequestOp.create({ request: { kind: "requestPut", value: request } });
      },
      result: async (response, revision) => {
        const put =
          response?.response?.kind === "responsePut" ? response.response.value : undefined;
        return { revision, previous: await entries.decodeSome(put?.prevKv) };
      },
    };
  }

  delete(range: KeyRange, options: DeleteOptions = {}): Operation<DeleteResult<Out>> {
    const { entries, space } = this.#scope;
    const prevKv = options.previous ?? false;
    const value = DeleteRangeRequest.create({ ...space.rangeToWire(range), prevKv });
    return {
      request: () => RequestOp.create({ request: { kind: "requestDeleteRange", value } }),
      result: async (response, revision) => {
        const done =
          response?.response?.kind === "responseDeleteRange" ? response.response.value : undefined;
        const previous = await entries.decodeAll(done?.prevKvs ?? []);
        return { revision, deleted: done?.deleted ?? 0, previous };
      },
    };
  }
}

function rangeOf(response: ResponseOp | undefined) {
  return response?.response?.kind === "responseRange" ? response.response.value : undefined;
}

/** Rejects with InvalidValueError. */
export async function putRequest<Out, In>(
  scope: Scope<Out, In>,
  key: string,
  value: In,
  options: PutOptions,
): Promise<PutRequest> {
  return PutRequest.create({
    key: scope.space.toWire(key),
    value: await scope.entries.encode(key, value),
    lease: leaseIdOf(options.lease),
    ignoreLease: options.keepLease ?? false,
    prevKv: options.previous ?? false,
  });
}

/** How a condition compares: what is there, to what is given. */
export type Comparison = "=" | "!=" | ">" | "<";

const results = {
  "=": CompareResult.EQUAL,
  "!=": CompareResult.NOT_EQUAL,
  ">": CompareResult.GREATER,
  "<": CompareResult.LESS,
} as const;

type Counter = "version" | "createRevision" | "modRevision";

const targets = {
  version: CompareTarget.VERSION,
  createRevision: CompareTarget.CREATE,
  modRevision: CompareTarget.MOD,
} as const;

/** Conditions on one key, or on all keys of a range (each of them must meet it). */
export class When<Out, In> {
  readonly #scope: Scope<Out, In>;
  readonly #range: KeyRange;

  constructor(scope: Scope<Out, In>, range: KeyRange) {
    this.#scope = scope;
    this.#range = range;
  }

  exists(): Condition {
    return this.version(">", 0);
  }

  absent(): Condition {
    return this.version("=", 0);
  }

  /** Changes since the key was made; 0 for a key that is not there. */
  version(comparison: Comparison, version: number): Condition {
    return this.#counter("version", comparison, version);
  }

  /** 0 for a key that is not there. */
  createRevision(comparison: Comparison, revision: number): Condition {
    return this.#counter("createRevision", comparison, revision);
  }

  /** 0 for a key that is not there. */
  modRevision(comparison: Comparison, revision: number): Condition {
    return this.#counter("modRevision", comparison, revision);
  }

  /** Compares bytes as the codec writes them. Never true of a key that is not there. */
  value(comparison: Comparison, value: In): Condition {
    const key = typeof this.#range === "string" ? this.#range : "";
    return {
      compare: async () =>
        Compare.create({
          ...this.#scope.space.rangeToWire(this.#range),
          result: results[comparison],
          target: CompareTarget.VALUE,
          targetUnion: { kind: "value", value: await this.#scope.entries.encode(key, value) },
        }),
    };
  }

  /** The key's lease; undefined for none. */
  lease(comparison: Comparison, lease: LeaseLike | undefined): Condition {
    return this.#condition(comparison, CompareTarget.LEASE, {
      kind: "lease",
      value: leaseIdOf(lease),
    });
  }

  #counter(kind: Counter, comparison: Comparison, value: number): Condition {
    return this.#condition(comparison, targets[kind], { kind, value });
  }

  #condition(
    comparison: Comparison,
    target: Compare["target"],
    targetUnion: Compare["targetUnion"],
  ): Condition {
    const { key, rangeEnd } = this.#scope.space.rangeToWire(this.#range);
    const result = results[comparison];
    const compare = Compare.create({ key, rangeEnd, result, target, targetUnion });
    return { compare: () => compare };
  }
}
