// HashKV and Hash: long walks over everything stored, in steps between requests.

import type { Clock, Revision } from "../base/index.ts";
import { crc32c, emptyBytes, QuorateError } from "../base/index.ts";
import type { EngineView } from "../storage/engine.ts";
import type { HashResult } from "./handle.ts";
import type { StateMachine } from "./state-machine.ts";
import type { SteppedWork } from "./stepped-work.ts";
import type { WorkMetrics } from "./work-metrics.ts";

export class Hasher {
  readonly #machine: StateMachine;
  readonly #work: (restMs: number, step: () => boolean) => SteppedWork;
  readonly #view: () => Promise<EngineView>;
  readonly #clock: Clock;
  readonly #metrics: Pick<WorkMetrics, "hashSeconds" | "hashRevisionSeconds">;

  /** `view` gives the engine as it is with everything applied so far. */
  constructor(
    machine: StateMachine,
    work: (restMs: number, step: () => boolean) => SteppedWork,
    view: () => Promise<EngineView>,
    clock: Clock,
    metrics: Pick<WorkMetrics, "hashSeconds" | "hashRevisionSeconds">,
  ) {
    this.#machine = machine;
    this.#work = work;
    this.#view = view;
    this.#clock = clock;
    this.#metrics = metrics;
  }

  /** Of every record that the engine holds: this member's alone, as in etcd. */
  async hash(): Promise<number> {
    const startedMs = this.#clock.monotonicMs();
    const view = await this.#view();
    try {
      let hash = 0;
      for await (const rows of view.scan({ from: emptyBytes, to: undefined })) {
        for (const [key, value] of rows) {
          hash = crc32c(value, crc32c(key, hash));
        }
      }
      this.#metrics.hashSeconds.observe((this.#clock.monotonicMs() - startedMs) / 1000);
      return hash;
    } finally {
      await view.close();
    }
  }

  /**
   * Of the pairs up to `revision` (0 = current), equal on all members. It rests between steps, each
   * a block, for `restMs`.
   */
  async hashKv(revision: Revision | 0, restMs = 0): Promise<HashResult> {
    const startedMs = this.#clock.monotonicMs();
    const { state } = this.#machine;
    const { store } = state;
    const at = revision === 0 ? store.revision : revision;
    if (at > store.revision) {
      throw new QuorateError("futureRevision");
    }
    if (at < store.compactedRevision) {
      throw new QuorateError("compacted");
    }
    const walk = store.beginHash(at);
    let refusal: QuorateError | undefined;
    const work = this.#work(restMs, () => {
      try {
        return this.#machine.state === state && walk.step();
      } catch (error) {
        if (!(error instanceof QuorateError)) {
          throw error;
        }
        // Compaction has passed the revision: an answer, not a failure of this member.
        refusal = error;
        return false;
      }
    });
    work.wake();
    await work.whenIdle();
    if (refusal !== undefined) {
      throw refusal;
    }
    if (this.#machine.state !== state) {
      throw new QuorateError("leaderChanged");
    }
    this.#metrics.hashRevisionSeconds.observe((this.#clock.monotonicMs() - startedMs) / 1000);
    return {
      hash: walk.hash,
      compactedRevision: walk.compactedRevision,
      hashRevision: at,
    };
  }
}
