// etcdserverpb.Watch: many watches on one bidirectional stream.
//
// The node tells a stream's notices in order; here they become responses, in the same order. The
// bytes of an event are those that were stored, and what many watches hear alike is encoded once:
// a response is a shared header, the id of its watch, and a shared body.
//
// Back-pressure: once the connection asks to wait, a bounded rest is still queued, then the sink
// says that it is full. The node holds events back (it keeps a place in history, not a queue) and
// the client's requests are left unread, so control responses are bounded too. A client that has
// half-closed the call still hears its watches, until it cancels.

import {
  concatBytes,
  copyBytes,
  emptyBytes,
  errorTable,
  grpcStatus,
  QuorateError,
  system,
  requestOverheadBytes,
  toRevision,
} from "../base/index.ts";
import type { Service, StreamCall } from "../grpc/index.ts";
import type {
  WatchEvent,
  WatchNotice,
  WatchOptions,
  WatchStream,
  WatchStreamSink,
} from "../node/handle.ts";
import {
  pushWatchEvent,
  sharedWriter as writer,
  WatchCreateRequestFilterType,
  type WatchCreateRequest,
  WatchRequest,
  watchResponseHead,
  type WatchResponseFields,
} from "../wire/index.ts";
import { permit } from "./callers.ts";
import type { ApiContext } from "./context.ts";
import { toRpcError } from "./errors.ts";

/** Responses and bytes that may wait for the connection before events are held back. */
const queuedResponsesMax = 128;
const queuedBytesMax = 4 * 1024 * 1024;
/** A body up to this size is one piece, copied once for all its watches, bytes. */
const joinedBodyBytesMax = 32 * 1024;

/** The names in Go of the codes that a watch can be refused with. */
const goCodes: Readonly<Record<number, string>> = {
  [grpcStatus.invalidArgument]: "InvalidArgument",
  [grpcStatus.permissionDenied]: "PermissionDenied",
  [grpcStatus.unauthenticated]: "Unauthenticated",
};

/** The id of responses that concern no watch, or all of them. */
const noWatch = -1n;
const smallestKey = new Uint8Array(1);
const fragmentField = new Uint8Array([0x38, 0x01]);

export function watchService(api: ApiContext): Service {
  const bodies = new BodyEncoder(api);
  return {
    name: "etcdserverpb.Watch",
    methods: {
      Watch: { kind: "stream", handle: (call) => new WatchCall(api, bodies, call).start() },
    },
  };
}

/** What all watches that hear the same events share. */
interface Body {
  readonly events: readonly WatchEvent[];
  readonly revision: number;
  readonly header: Uint8Array;
  /** The events, as WatchResponse.events. */
  readonly parts: readonly Uint8Array[];
  readonly sizeBytes: number;
}

/** Encodes events, once for all watches of all streams: the node hands the same array to them. */
class BodyEncoder {
  readonly #api: ApiContext;
  #last: Body | undefined;

  constructor(api: ApiContext) {
    this.#api = api;
  }

  encode(events: readonly WatchEvent[], revision: number): Body {
    const last = this.#last;
    if (last !== undefined && last.events === events && last.revision === revision) {
      return last;
    }
    const parts: Uint8Array[] = [];
    let sizeBytes = 0;
    for (const { event, previous } of events) {
      sizeBytes += pushWatchEvent(parts, event.message, previous);
    }
    const body = {
      events,
      revision,
      header: this.#api.headerField(revision),
      parts: sizeBytes <= joinedBodyBytesMax ? [concatBytes(parts)] : parts,
      sizeBytes,
    };
    this.#last = body;
    return body;
  }
}

/** A watch as its responses need it. */
interface Watch {
  /** WatchResponse.watch_id; empty for 0. */
  readonly idField: Uint8Array;
  readonly options: WatchOptions;
  /** Who made it; undefined when authentication was off. */
  readonly user: string | undefined;
}

class WatchCall implements WatchStreamSink {
  readonly #api: ApiContext;
  readonly #bodies: BodyEncoder;
  readonly #call: StreamCall;
  readonly #stream: WatchStream;
  readonly #watches = new Map<bigint, Watch>();
  /** The watch that is being made. */
  #creating: Pick<Watch, "options" | "user"> | undefined;
  /** The auth revision at which the watches were last found permitted. */
  #authRevision = 0;
  /** Responses written since the connection asked to wait; undefined while it does not. */
  #waiting: number | undefined;
  #over = false;
  writable = true;

  constructor(api: ApiContext, bodies: BodyEncoder, call: StreamCall) {
    this.#api = api;
    this.#bodies = bodies;
    this.#call = call;
    this.#stream = api.handle.openWatchStream(this);
  }

  start(): void {
    this.#call.onCancel(() => this.#close());
    this.#call.onDrain(() => this.#drained());
    this.#call.onMessage((message) => this.#request(message));
    this.#call.onHalfClose(() => {});
  }

  notify(notice: WatchNotice): void {
    if (this.#over) {
      return;
    }
    switch (notice.kind) {
      case "events":
        this.#events(notice.watchId, notice.events, notice.revision);
        break;
      case "created":
        if (this.#creating !== undefined) {
          const idField = watchIdField(notice.watchId);
          this.#watches.set(notice.watchId, { idField, ...this.#creating });
        }
        this.#control(notice.revision, { watchId: notice.watchId, created: true });
        break;
      case "refused":
        this.#refuse(notice.revision, notice.reason);
        break;
      case "progress":
        this.#control(notice.revision, { watchId: notice.watchId });
        break;
      case "canceled":
        if (this.#watches.delete(notice.watchId)) {
          this.#control(notice.revision, { watchId: notice.watchId, canceled: true });
        }
        break;
      case "compacted":
        this.#watches.delete(notice.watchId);
        // etcd leaves the header's revision out of this response, and only of this one.
        this.#control(0, {
          watchId: notice.watchId,
          canceled: true,
          compactRevision: notice.compactedRevision,
        });
        break;
    }
  }

  #request(message: Uint8Array): void {
    try {
      const { requestUnion } = WatchRequest.decode(message);
      switch (requestUnion?.kind) {
        case "createRequest":
          this.#create(requestUnion.value);
          break;
        case "cancelRequest":
          this.#stream.cancel(requestUnion.value.watchId);
          break;
        case "progressRequest":
          this.#stream.requestProgress();
          break;
        case undefined:
          // etcd passes over a request that it does not know.
          break;
      }
    } catch (error) {
      this.#close();
      this.#api.streamFailures.watch.inc();
      this.#call.end(toRpcError(error, this.#api.logger));
    }
  }

  #create(request: WatchCreateRequest): void {
    if (request.startRevision < 0) {
      this.#refuse(this.#api.handle.status().revision, errorTable.compacted.text);
      return;
    }
    const options = watchOptions(request);
    try {
      const caller = this.#api.callerOf(this.#call);
      permit(this.#api.handle.auth.checkRead(caller, options.key, options.rangeEnd));
      this.#creating = { options, user: caller?.user };
    } catch (error) {
      if (!(error instanceof QuorateError)) {
        throw error;
      }
      this.#refuse(this.#api.handle.status().revision, goText(error));
      return;
    }
    this.#stream.create(options);
  }

  /**
   * Cancels the watches whose users may not read their keys any more, before they hear of anything
   * that came after. (etcd looks only once, when a watch is made.)
   */
  #checkWatches(): void {
    const { auth } = this.#api.handle;
    if (!auth.enabled || auth.revision === this.#authRevision) {
      return;
    }
    this.#authRevision = auth.revision;
    for (const [watchId, { user, options }] of this.#watches) {
      const caller = user === undefined ? system : { user, authRevision: auth.revision };
      const refusal = auth.checkRead(caller, options.key, options.rangeEnd);
      if (refusal !== undefined) {
        this.#watches.delete(watchId);
        const cancelReason = goText(new QuorateError(refusal));
        this.#control(this.#api.handle.status().revision, {
          watchId,
          canceled: true,
          cancelReason,
        });
        // Not from inside of a notice.
        queueMicrotask(() => this.#stream.cancel(watchId));
      }
    }
  }

  #refuse(revision: number, cancelReason: string): void {
    this.#control(revision, { watchId: noWatch, created: true, canceled: true, cancelReason });
  }

  #control(revision: number, fields: WatchResponseFields): void {
    this.#write([watchResponseHead(this.#api.headerField(revision), fields)]);
  }

  #events(watchId: bigint, events: readonly WatchEvent[], revision: number): void {
    this.#checkWatches();
    const watch = this.#watches.get(watchId);
    if (watch === undefined) {
      return;
    }
    const body = this.#bodies.encode(events, revision);
    const sizeBytes = body.header.length + watch.idField.length + body.sizeBytes;
    if (watch.options.fragment && events.length > 1 && sizeBytes >= this.#fragmentSizeBytes()) {
      this.#fragments(watch, body);
    } else {
      this.#write([body.header, watch.idField, ...body.parts]);
    }
  }

  /** etcd's cut: the limit on requests with its overhead, by the size of the whole response. */
  #fragmentSizeBytes(): number {
    return this.#api.options.requestBytesMax + requestOverheadBytes;
  }

  /** The same events in several responses, each below the limit or with one event. */
  #fragments(watch: Watch, body: Body): void {
    const head = [body.header, watch.idField];
    const emptySizeBytes = body.header.length + watch.idField.length + fragmentField.length;
    let parts: Uint8Array[] = [];
    let sizeBytes = emptySizeBytes;
    for (const { event, previous } of body.events) {
      const eventParts: Uint8Array[] = [];
      const eventSizeBytes = pushWatchEvent(eventParts, event.message, previous);
      if (parts.length > 0 && sizeBytes + eventSizeBytes >= this.#fragmentSizeBytes()) {
        this.#write([...head, fragmentField, ...parts]);
        parts = [];
        sizeBytes = emptySizeBytes;
      }
      parts.push(...eventParts);
      sizeBytes += eventSizeBytes;
    }
    this.#write([...head, ...parts]);
  }

  #write(parts: readonly Uint8Array[]): void {
    if (this.#over) {
      return;
    }
    if (this.#call.write(parts) && this.#waiting === undefined) {
      return;
    }
    this.#waiting = (this.#waiting ?? 0) + 1;
    if (
      this.writable &&
      (this.#waiting >= queuedResponsesMax || this.#call.queuedBytes >= queuedBytesMax)
    ) {
      this.writable = false;
      this.#call.pause();
    }
  }

  #drained(): void {
    this.#waiting = undefined;
    if (!this.writable && !this.#over) {
      this.writable = true;
      this.#call.resume();
      this.#stream.resume();
    }
  }

  #close(): void {
    if (!this.#over) {
      this.#over = true;
      this.#watches.clear();
      this.#stream.close();
    }
  }
}

/** An error as Go prints it, since clients read that. */
function goText(error: QuorateError): string {
  return `rpc error: code = ${goCodes[error.status] ?? "Unknown"} desc = ${error.message}`;
}

function watchOptions(request: WatchCreateRequest): WatchOptions {
  return {
    key: request.key.length === 0 ? smallestKey : request.key,
    rangeEnd: request.rangeEnd,
    watchId: request.watchId,
    startRevision: toRevision(request.startRevision),
    previous: request.prevKv,
    progressNotify: request.progressNotify,
    noPut: request.filters.includes(WatchCreateRequestFilterType.NOPUT),
    noDelete: request.filters.includes(WatchCreateRequestFilterType.NODELETE),
    fragment: request.fragment,
  };
}

function watchIdField(watchId: bigint): Uint8Array {
  if (watchId === 0n) {
    return emptyBytes;
  }
  writer.begin();
  writer.big64(watchId);
  writer.tag(0x10);
  // A copy: the writer's view would keep its whole slab for as long as the watch lives.
  return copyBytes(writer.finish());
}
