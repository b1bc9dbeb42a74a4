// What the front doors see of watching. The hub behind it lives in watch-hub.ts.

import type { Revision } from "../base/index.ts";
import type { KeyRange, StoredEvent, StoredKeyValue } from "./contract.ts";

export interface WatchOptions extends KeyRange {
  /** 0 = choose the stream's next free id. */
  readonly watchId: bigint;
  /** 0 = from the next revision. */
  readonly startRevision: Revision | 0;
  readonly previous: boolean;
  readonly progressNotify: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly fragment: boolean;
}

/** An event with the pair it replaced, where the watcher asked for it and it exists. */
export interface WatchEvent {
  readonly event: StoredEvent;
  readonly previous: StoredKeyValue | undefined;
}

export type WatchNotice =
  | { readonly kind: "created"; readonly watchId: bigint; readonly revision: Revision }
  /** Refused at creation: watch id -1, with etcd's reason. */
  | { readonly kind: "refused"; readonly reason: string; readonly revision: Revision }
  | {
      readonly kind: "events";
      readonly watchId: bigint;
      /** Header revision: that of the events when live, the current one when catching up. */
      readonly revision: Revision;
      /** Whole revisions only, in order. The same array may be shared by many watchers. */
      readonly events: readonly WatchEvent[];
    }
  /** Nothing up to `revision` is outstanding; watch id -1 answers a manual request for all. */
  | { readonly kind: "progress"; readonly watchId: bigint; readonly revision: Revision }
  | { readonly kind: "canceled"; readonly watchId: bigint; readonly revision: Revision }
  /** The start (or a slow watcher's place) has been compacted; the watcher is gone. */
  | { readonly kind: "compacted"; readonly watchId: bigint; readonly compactedRevision: Revision };

/**
 * The receiver of one stream. Called synchronously, in order; it must not throw, and may call its
 * own stream back.
 */
export interface WatchStreamSink {
  notify(notice: WatchNotice): void;
  /**
   * False while the receiver's buffers are full: the hub then holds events and progress back and
   * catches up after `resume`. All other notices, which answer what the stream was asked, come
   * all the same.
   */
  readonly writable: boolean;
}

export interface WatchStream {
  create(options: WatchOptions): void;
  /** Cancels one watch; an unknown id does nothing. */
  cancel(watchId: bigint): void;
  /**
   * Answers with one "progress" notice (id -1) if every watch of the stream is caught up and its
   * start has come, else nothing (nor without any watch).
   */
  requestProgress(): void;
  /** The sink became writable again. */
  resume(): void;
  close(): void;
}
