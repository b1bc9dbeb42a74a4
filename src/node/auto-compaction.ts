// Automatic compaction (--auto-compaction-mode, --auto-compaction-retention), done by the leader.
//
// periodic: keeps the history of the last so many milliseconds. The revision is noted ten times
// an interval (the retention, at most an hour) and, once a note is as old as the retention, the
// store is compacted there once an interval. revision: keeps the last so many revisions and looks
// every five minutes. As etcd does both.

import { system } from "../base/index.ts";
import type { Clock, Logger, Timer } from "../base/index.ts";
import { CompactionRequest } from "../wire/index.ts";
import type { NodeHandle } from "./handle.ts";

export type AutoCompactionPolicy =
  | { readonly kind: "periodic"; readonly retentionMs: number }
  | { readonly kind: "revision"; readonly retentionRevisions: number };

const hourMs = 3_600_000;
const revisionCheckMs = 300_000;
const notesPerInterval = 10;

interface Note {
  readonly atMs: number;
  readonly revision: number;
}

export class AutoCompaction {
  readonly #policy: AutoCompactionPolicy;
  readonly #handle: NodeHandle;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #timer: Timer | undefined;
  #notes: Note[] = [];
  #compactedAtMs = Number.NEGATIVE_INFINITY;

  constructor(policy: AutoCompactionPolicy, handle: NodeHandle, clock: Clock, logger: Logger) {
    this.#policy = policy;
    this.#handle = handle;
    this.#clock = clock;
    this.#logger = logger;
  }

  start(): void {
    const policy = this.#policy;
    const everyMs =
      policy.kind === "revision" ? revisionCheckMs : intervalMs(policy) / notesPerInterval;
    this.#timer = this.#clock.after(everyMs, () => {
      this.start();
      this.#check();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #check(): void {
    const { revision, isLeader } = this.#handle.status();
    if (this.#policy.kind === "revision") {
      this.#compact(isLeader, revision - this.#policy.retentionRevisions);
      return;
    }
    const nowMs = this.#clock.monotonicMs();
    this.#notes.push({ atMs: nowMs, revision });
    const retainedFromMs = nowMs - this.#policy.retentionMs;
    const old = this.#notes.filter((note) => note.atMs <= retainedFromMs);
    const newest = old.at(-1);
    if (newest !== undefined && nowMs - this.#compactedAtMs >= intervalMs(this.#policy)) {
      this.#compactedAtMs = nowMs;
      this.#notes = this.#notes.slice(old.length);
      this.#compact(isLeader, newest.revision);
    }
  }

  #compact(isLeader: boolean, revision: number): void {
    if (!isLeader || revision <= this.#handle.status().compactedRevision || revision <= 1) {
      return;
    }
    const request = CompactionRequest.encode({ revision, physical: false });
    this.#handle.propose("compaction", request, system).then(
      () => this.#logger.info({ revision }, "compacted automatically"),
      (error: unknown) =>
        this.#logger.warn({ err: error, revision }, "automatic compaction failed"),
    );
  }
}

function intervalMs(policy: { readonly retentionMs: number }): number {
  return Math.min(policy.retentionMs, hourMs);
}
