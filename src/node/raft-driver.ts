// The one loop that owns the raft core and the write-ahead log.
//
// Everybody else calls `tick`, `step`, `propose` or `readIndex`, which only feed the core and ask
// for a pump. One pump a turn of the event loop takes whatever has gathered: messages leave at
// once, the write starts beside them, committed entries go to the state machine. While a write
// is out more work gathers and becomes the next batch; there is no timer that waits for company.
//
// Durability: what `Ready.persist.thenSend` holds leaves only when the write has resolved. A
// failed write is final: `onFatal` stops the node.

import type { Clock, ConfState, Entry, LogIndex, MemberId, SnapshotMeta } from "../base/index.ts";
import type { ConfChange, Message, Persist, RaftCore, ReadReady } from "../raft/index.ts";
import type { Wal } from "../storage/wal-contract.ts";

export interface RaftDriverHooks {
  send(messages: readonly Message[]): void;
  /** Committed and durable here, in order. */
  onCommitted(entries: readonly Entry[]): void;
  onReads(reads: readonly ReadReady[]): void;
  onReadsDropped(contexts: readonly number[]): void;
  /** Replace the state by the received snapshot at `meta`; the log follows when this resolves. */
  installSnapshot(meta: SnapshotMeta): Promise<void>;
  /** Before each pump: the place to ask for gathered reads and to retry parked proposals. */
  beforePump(): void;
  /** After each pump: roles and terms may have changed. */
  afterPump(): void;
  onWalWrite(elapsedMs: number): void;
  onFatal(error: unknown): void;
}

export class RaftDriver {
  readonly #raft: RaftCore;
  readonly #wal: Wal;
  readonly #clock: Clock;
  readonly #hooks: RaftDriverHooks;
  #pumpScheduled = false;
  #commitHeld = false;
  #writeStartedMs: number | undefined;
  #writing: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(raft: RaftCore, wal: Wal, clock: Clock, hooks: RaftDriverHooks) {
    this.#raft = raft;
    this.#wal = wal;
    this.#clock = clock;
    this.#hooks = hooks;
  }

  /** For reading only (status); changes go through this class. */
  get raft(): RaftCore {
    return this.#raft;
  }

  /** How long the write under way has taken so far, milliseconds; 0 when none is. */
  writeElapsedMs(nowMs: number): number {
    return this.#writeStartedMs === undefined ? 0 : nowMs - this.#writeStartedMs;
  }

  tick(): void {
    this.#raft.tick();
    this.schedule();
  }

  step(message: Message): void {
    this.#raft.step(message);
    this.schedule();
  }

  propose(data: Uint8Array): ReturnType<RaftCore["propose"]> {
    const outcome = this.#raft.propose(data);
    this.schedule();
    return outcome;
  }

  proposeConfChange(change: ConfChange, data: Uint8Array): ReturnType<RaftCore["propose"]> {
    const outcome = this.#raft.proposeConfChange(change, data);
    this.schedule();
    return outcome;
  }

  readIndex(context: number): void {
    this.#raft.readIndex(context);
    this.schedule();
  }

  transferLeadership(to: MemberId): void {
    this.#raft.transferLeadership(to);
    this.schedule();
  }

  /** Tells the core that a committed membership change is being applied. */
  applyConfChange(change: ConfChange | undefined): ConfState {
    const conf = this.#raft.applyConfChange(change);
    this.schedule();
    return conf;
  }

  /** The core forgets its log below `keep`. */
  compactTo(keep: LogIndex): void {
    this.#raft.compactTo(keep);
  }

  appliedTo(index: LogIndex): void {
    this.#raft.appliedTo(index);
    this.schedule();
  }

  reportSnapshot(to: MemberId, delivered: boolean): void {
    this.#raft.reportSnapshot(to, delivered);
    this.schedule();
  }

  reportUnreachable(to: MemberId): void {
    this.#raft.reportUnreachable(to);
    this.schedule();
  }

  schedule(): void {
    if (!this.#pumpScheduled && !this.#stopped) {
      this.#pumpScheduled = true;
      this.#clock.soon(() => {
        this.#pumpScheduled = false;
        if (!this.#stopped) {
          const tellCommit = this.#commitHeld;
          this.#commitHeld = false;
          this.#pump(tellCommit);
        }
      });
    }
  }

  /** No more pumps; resolves when the write under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#writing;
  }

  /**
   * A commit index that rose waits one turn: replies to clients leave first, and under load the
   * next entries carry it along, which saves a message and its answer.
   */
  #pump(tellCommit: boolean): void {
    try {
      this.#hooks.beforePump();
      while (this.#raft.hasReady(this.#writeStartedMs === undefined, tellCommit)) {
        const ready = this.#raft.ready(this.#writeStartedMs === undefined, tellCommit);
        if (ready.sendNow.length > 0) {
          this.#hooks.send(ready.sendNow);
        }
        if (ready.persist !== undefined) {
          this.#startWrite(ready.persist);
        }
        if (ready.reads.length > 0) {
          this.#hooks.onReads(ready.reads);
        }
        if (ready.readsDropped.length > 0) {
          this.#hooks.onReadsDropped(ready.readsDropped);
        }
        if (ready.committed.length > 0) {
          this.#hooks.onCommitted(ready.committed);
        }
      }
      this.#hooks.afterPump();
      if (!tellCommit && this.#raft.hasReady(false, true)) {
        this.#commitHeld = true;
        this.schedule();
      }
    } catch (error) {
      this.#fatal(error);
    }
  }

  #startWrite(persist: Persist): void {
    const startedMs = this.#clock.monotonicMs();
    this.#writeStartedMs = startedMs;
    this.#writing = this.#write(persist).then(
      () => {
        this.#writeStartedMs = undefined;
        if (this.#stopped) {
          return;
        }
        this.#hooks.onWalWrite(this.#clock.monotonicMs() - startedMs);
        this.#raft.persisted();
        if (persist.thenSend.length > 0) {
          this.#hooks.send(persist.thenSend);
        }
        // The write's end is an event of its own: what it unblocks need not wait a turn.
        this.#pump(false);
      },
      (error: unknown) => this.#fatal(error),
    );
  }

  async #write(persist: Persist): Promise<void> {
    if (persist.snapshot !== undefined) {
      await this.#hooks.installSnapshot(persist.snapshot);
    }
    if (
      persist.hardState !== undefined ||
      persist.entries.length > 0 ||
      persist.snapshot !== undefined
    ) {
      await this.#wal.append(persist);
    }
  }

  #fatal(error: unknown): void {
    if (!this.#stopped) {
      this.#stopped = true;
      this.#hooks.onFatal(error);
    }
  }
}
