// etcdserverpb.KV.
//
// Put, Range and DeleteRange are the hot path: a request is decoded once to be checked, then the
// client's own bytes go into the log; a result's stored bytes go into the reply. A read that the
// node can answer at once is answered at once, without a promise.

import { type Caller, type Clock, type Counter, exponentialBuckets } from "../base/index.ts";
import { type Histogram, QuorateError } from "../base/index.ts";
import type { CallContext, ReplyBytes, Service } from "../grpc/index.ts";
import type { CommandResult, RangeQuery } from "../node/handle.ts";
import {
  CompactionRequest,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  TxnRequest,
} from "../wire/index.ts";
import { permit } from "./callers.ts";
import type { ApiContext } from "./context.ts";
import { expectKind, succeeded } from "./errors.ts";
import { isCut, isOvertaken, readOn } from "./large-range.ts";
import { putCost, type QuotaGate, txnCost } from "./quota.ts";
import { checkRevision, rangeQuery } from "./range-query.ts";
import { rangeStream } from "./range-stream.ts";
import { deleteRangeReply, rangeReply, txnReply } from "./replies.ts";
import {
  checkDeleteRange,
  checkPut,
  checkRange,
  checkTxn,
  isReadOnly,
  isSerializable,
} from "./validate.ts";

/** So often a large range begins anew because compaction has overtaken it. */
const overtakenMax = 3;

export function kvService(api: ApiContext, quota: QuotaGate): Service {
  const kv = new Kv(api, quota);
  return {
    name: "etcdserverpb.KV",
    methods: {
      Range: { kind: "unary", handle: (request, call) => kv.range(request, call) },
      RangeStream: { kind: "stream", handle: (call) => rangeStream(api, call) },
      Put: { kind: "unary", handle: (request, call) => kv.put(request, call) },
      DeleteRange: { kind: "unary", handle: (request, call) => kv.deleteRange(request, call) },
      Txn: { kind: "unary", handle: (request, call) => kv.txn(request, call) },
      Compact: { kind: "unary", handle: (request, call) => kv.compact(request, call) },
    },
  };
}

class Kv {
  readonly #api: ApiContext;
  readonly #quota: QuotaGate;
  readonly #requestBytesMax: number;
  readonly #clock: Clock;
  readonly #ranges: Counter;
  readonly #rangeSeconds: Histogram;
  readonly #refusedSeconds: Histogram;

  constructor(api: ApiContext, quota: QuotaGate) {
    this.#api = api;
    this.#quota = quota;
    this.#requestBytesMax = api.options.requestBytesMax;
    this.#clock = api.clock;
    const seconds = api.options.metrics.histogramFamily(
      "etcd_server_range_duration_seconds",
      "The latency distributions of evaluating a range, without the wait for its turn.",
      ["success"],
      exponentialBuckets(0.0001, 2, 20),
    );
    this.#rangeSeconds = seconds.with("true");
    this.#refusedSeconds = seconds.with("false");
    this.#ranges = api.options.metrics.counter(
      "etcd_mvcc_range_total",
      "Ranges asked of this member.",
    );
  }

  range(bytes: Uint8Array, call: CallContext): ReplyBytes | Promise<ReplyBytes> {
    const request = RangeRequest.decode(bytes);
    checkRange(request);
    this.#ranges.inc();
    const caller = this.#api.callerOf(call);
    return this.#range(rangeQuery(request), !request.serializable, caller, call, overtakenMax);
  }

  #range(
    query: RangeQuery,
    linearizable: boolean,
    caller: Caller | undefined,
    call: CallContext,
    triesLeft: number,
  ): ReplyBytes | Promise<ReplyBytes> {
    const api = this.#api;
    const answer = api.handle.read<ReplyBytes | Promise<ReplyBytes>>(
      linearizable,
      ({ store, auth }) => {
        const startedMs = this.#clock.monotonicMs();
        try {
          permit(auth.checkRead(caller, query.key, query.rangeEnd));
          checkRevision(store, query.revision);
          const result = store.range(query);
          this.#rangeSeconds.observe((this.#clock.monotonicMs() - startedMs) / 1000);
          const { revision } = store;
          if (!isCut(query, result)) {
            return rangeReply(api.headerField(revision), result);
          }
          const at = query.revision === 0 ? revision : query.revision;
          return readOn(api, call, caller, query, result, at, revision).catch((error: unknown) => {
            // The latest pairs were asked for, whatever their revision: those of now do as well.
            if (query.revision === 0 && isOvertaken(error) && triesLeft > 0) {
              return this.#range(query, linearizable, caller, call, triesLeft - 1);
            }
            throw error;
          });
        } catch (error) {
          // Records that are missing are loaded, and the range is evaluated again.
          if (error instanceof QuorateError) {
            this.#refusedSeconds.observe((this.#clock.monotonicMs() - startedMs) / 1000);
          }
          throw error;
        }
      },
    );
    // A promise inside a promise is one promise.
    return answer as ReplyBytes | Promise<ReplyBytes>;
  }

  put(bytes: Uint8Array, call: CallContext): Promise<ReplyBytes> {
    const request = PutRequest.decode(bytes);
    this.#quota.check(putCost(request));
    checkPut(request);
    this.#checkSize(bytes);
    const { handle, callers } = this.#api;
    return handle.propose("put", bytes, callers.of(call)).then(this.#putReply);
  }

  readonly #putReply = (result: CommandResult): ReplyBytes => {
    const { revision, previous } = expectKind(result, "put");
    const header = this.#api.headerField(revision);
    return previous === undefined ? header : [header, previous.field];
  };

  deleteRange(bytes: Uint8Array, call: CallContext): Promise<ReplyBytes> {
    checkDeleteRange(DeleteRangeRequest.decode(bytes));
    this.#checkSize(bytes);
    const caller = this.#api.callerOf(call);
    return this.#api.handle.propose("deleteRange", bytes, caller).then((result) => {
      const { revision, deleted, previous } = expectKind(result, "deleteRange");
      return deleteRangeReply(this.#api.headerField(revision), deleted, previous);
    });
  }

  txn(bytes: Uint8Array, call: CallContext): ReplyBytes | Promise<ReplyBytes> {
    const request = TxnRequest.decode(bytes);
    this.#quota.check(txnCost(request));
    checkTxn(request, this.#api.options.txnOpsMax);
    if (isReadOnly(request)) {
      return this.#readTxn(bytes, !isSerializable(request), this.#api.callerOf(call));
    }
    this.#checkSize(bytes);
    const { handle, callers } = this.#api;
    return handle.propose("txn", bytes, callers.of(call)).then(this.#txnReply);
  }

  readonly #txnReply = (result: CommandResult): ReplyBytes => {
    const txn = expectKind(result, "txn");
    return txnReply(this.#api.headerField(txn.revision), txn);
  };

  #readTxn(
    bytes: Uint8Array,
    linearizable: boolean,
    caller: Caller | undefined,
  ): ReplyBytes | Promise<ReplyBytes> {
    const api = this.#api;
    return api.handle.read<ReplyBytes>(linearizable, (state) => {
      const result = succeeded(state.readTxn(bytes, caller));
      return txnReply(api.headerField(result.revision), result);
    });
  }

  async compact(bytes: Uint8Array, call: CallContext): Promise<ReplyBytes> {
    const { physical } = CompactionRequest.decode(bytes);
    const { handle, callers } = this.#api;
    const result = await handle.propose("compaction", bytes, callers.of(call));
    const { revision } = expectKind(result, "compaction");
    if (physical) {
      await handle.compactionDone();
    }
    return this.#api.headerField(revision);
  }

  #checkSize(bytes: Uint8Array): void {
    if (bytes.length > this.#requestBytesMax) {
      throw new QuorateError("requestTooLarge");
    }
  }
}
