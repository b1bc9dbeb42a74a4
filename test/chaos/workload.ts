// Clients that read and write a few shared keys through given members, and write down what they
// were told. Every value is unique, so that a value in the store names its write.

import type { Rng } from "../../src/base/index.ts";
import { utf8 } from "../../src/base/index.ts";
import {
  Compare,
  CompareResult,
  CompareTarget,
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  TxnRequest,
  TxnResponse,
} from "../../src/wire/index.ts";
import type { RequestOp } from "../../src/wire/index.ts";
import type { Endpoint } from "./endpoint.ts";
import type { History, Operation } from "./history.ts";
import { renderDelete, renderPut, renderRange, renderTxn, txnWrote } from "./render.ts";

const keyCount = 12;
const callDeadlineMs = 2_000;
/** After a call that failed. */
const restMs = 30;

export const allKeys = { key: new Uint8Array(1), rangeEnd: new Uint8Array(1) };

export async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** The calls of a client, each written down. */
export class Caller {
  readonly #history: History;

  constructor(history: History) {
    this.#history = history;
  }

  put(endpoint: Endpoint, request: PutRequest, deadlineMs = callDeadlineMs): Promise<boolean> {
    const operation = this.#begin(endpoint, "put", PutRequest.encode(request));
    const path = "/etcdserverpb.KV/Put";
    return this.#settle(
      endpoint.kv.call(path, PutRequest, PutResponse, request, deadlineMs),
      (reply) => {
        this.#answered(operation, reply.header?.revision, renderPut(reply), true);
      },
    );
  }

  delete(endpoint: Endpoint, request: DeleteRangeRequest): Promise<boolean> {
    const operation = this.#begin(endpoint, "deleteRange", DeleteRangeRequest.encode(request));
    const path = "/etcdserverpb.KV/DeleteRange";
    return this.#settle(
      endpoint.kv.call(path, DeleteRangeRequest, DeleteRangeResponse, request, callDeadlineMs),
      (reply) => {
        const text = renderDelete(reply);
        this.#answered(operation, reply.header?.revision, text, reply.deleted > 0);
      },
    );
  }

  txn(endpoint: Endpoint, request: TxnRequest): Promise<boolean> {
    const operation = this.#begin(endpoint, "txn", TxnRequest.encode(request));
    const path = "/etcdserverpb.KV/Txn";
    return this.#settle(
      endpoint.kv.call(path, TxnRequest, TxnResponse, request, callDeadlineMs),
      (reply) => {
        this.#answered(operation, reply.header?.revision, renderTxn(reply), txnWrote(reply));
      },
    );
  }

  read(endpoint: Endpoint, request: Partial<RangeRequest>): Promise<boolean> {
    const range = RangeRequest.create(request);
    const operation = this.#history.begin({
      member: endpoint.name,
      kind: range.serializable ? "serializableRead" : "read",
      body: undefined,
      range,
    });
    return this.#settle(endpoint.kv.range(range, callDeadlineMs), (reply) => {
      this.#answered(operation, reply.header?.revision, renderRange(reply), false);
    });
  }

  #begin(endpoint: Endpoint, kind: Operation["kind"], body: Uint8Array): Operation {
    return this.#history.begin({ member: endpoint.name, kind, body, range: undefined });
  }

  #answered(
    operation: Operation,
    revision: number | undefined,
    answer: string,
    wrote: boolean,
  ): void {
    this.#history.answered(operation, revision ?? 0, answer, wrote);
  }

  async #settle<T>(call: Promise<T>, onReply: (reply: T) => void): Promise<boolean> {
    let reply: T;
    try {
      reply = await call;
    } catch {
      this.#history.failed++;
      return false;
    }
    onReply(reply);
    return true;
  }
}

/** One client: `home` keeps to that member, without it each call goes to any. */
export class Client {
  readonly #number: number;
  readonly #rng: Rng;
  readonly #endpoints: readonly Endpoint[];
  readonly #home: Endpoint | undefined;
  readonly #history: History;
  readonly #caller: Caller;
  readonly #thinkMs: number;
  #values = 0;
  #isOver = false;
  readonly #done: Promise<void>;

  constructor(
    number: number,
    rng: Rng,
    endpoints: readonly Endpoint[],
    home: Endpoint | undefined,
    history: History,
    thinkMs: number,
  ) {
    this.#number = number;
    this.#rng = rng;
    this.#endpoints = endpoints;
    this.#home = home;
    this.#history = history;
    this.#caller = new Caller(history);
    this.#thinkMs = thinkMs;
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const endpoint =
        this.#home ?? (this.#endpoints[this.#rng.below(this.#endpoints.length)] as Endpoint);
      const succeeded = await this.#call(endpoint);
      await sleep(succeeded ? this.#rng.below(2 * this.#thinkMs) : restMs);
    }
  }

  #call(endpoint: Endpoint): Promise<boolean> {
    const chance = this.#rng.below(100);
    if (chance < 30) {
      return this.#caller.put(endpoint, this.#put());
    }
    if (chance < 38) {
      return this.#caller.delete(endpoint, this.#delete());
    }
    if (chance < 58) {
      return this.#caller.txn(endpoint, this.#txn());
    }
    if (chance < 85) {
      return this.#caller.read(endpoint, { key: this.#key() });
    }
    if (chance < 90) {
      return this.#caller.read(endpoint, this.#span());
    }
    if (chance < 94) {
      const revision = Math.max(1, this.#history.knownRevision - this.#rng.below(100));
      return this.#caller.read(endpoint, { ...this.#span(), revision });
    }
    return this.#caller.read(endpoint, { ...this.#span(), serializable: true });
  }

  #key(): Uint8Array {
    return utf8(`k${String(this.#rng.below(keyCount)).padStart(2, "0")}`);
  }

  #span(): { readonly key: Uint8Array; readonly rangeEnd: Uint8Array } {
    return this.#rng.below(3) === 0 ? { key: this.#key(), rangeEnd: utf8("l") } : allKeys;
  }

  #put(): PutRequest {
    const value = utf8(`c${this.#number}.${this.#values++}`.padEnd(this.#rng.below(400), "."));
    return PutRequest.create({ key: this.#key(), value, prevKv: this.#rng.below(3) === 0 });
  }

  #delete(): DeleteRangeRequest {
    const prevKv = this.#rng.below(2) === 0;
    return this.#rng.below(8) === 0
      ? DeleteRangeRequest.create({ key: utf8("k03"), rangeEnd: utf8("k06"), prevKv })
      : DeleteRangeRequest.create({ key: this.#key(), prevKv });
  }

  /** Compares one key with what it may be; writes one or two, reads one; else reads all. */
  #txn(): TxnRequest {
    const key = this.#key();
    const near = Math.max(0, this.#history.knownRevision - this.#rng.below(30));
    const compare = Compare.create({
      key,
      result: this.#rng.below(2) === 0 ? CompareResult.GREATER : CompareResult.LESS,
      target: CompareTarget.MOD,
      targetUnion: { kind: "modRevision", value: near },
    });
    const first = this.#put();
    const second = this.#put();
    const success: RequestOp[] = [{ request: { kind: "requestPut", value: first } }];
    if (text(first) !== text(second)) {
      success.push({ request: { kind: "requestPut", value: second } });
    }
    success.push({ request: { kind: "requestRange", value: RangeRequest.create({ key }) } });
    const failure: RequestOp[] = [
      { request: { kind: "requestRange", value: RangeRequest.create(allKeys) } },
    ];
    return TxnRequest.create({ compare: [compare], success, failure });
  }
}

function text({ key }: PutRequest): string {
  return String(key);
}

/** Writes at a steady pace whatever the answers: what tells how long writes were refused. */
export class Probe {
  readonly #history: History;
  readonly #endpoints: readonly Endpoint[];
  readonly #timer: NodeJS.Timeout;
  readonly #open = new Set<Promise<boolean>>();
  /** Members that are not asked, by name. */
  avoided: ReadonlySet<string> = new Set();
  #count = 0;

  constructor(history: History, endpoints: readonly Endpoint[], everyMs: number) {
    this.#history = history;
    this.#endpoints = endpoints;
    this.#timer = setInterval(() => this.#write(), everyMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#open);
  }

  #write(): void {
    const asked = this.#endpoints.filter((each) => !this.avoided.has(each.name));
    const endpoint = asked[this.#count++ % Math.max(1, asked.length)];
    if (endpoint !== undefined) {
      const request = PutRequest.create({ key: utf8("probe"), value: utf8(`p.${this.#count}`) });
      const call = new Caller(this.#history).put(endpoint, request);
      this.#open.add(call);
      void call.finally(() => this.#open.delete(call));
    }
  }
}
