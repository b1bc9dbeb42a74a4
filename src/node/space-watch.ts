// What becomes of space: warnings while the store nears its quota, the end of the NOSPACE alarm
// once there is room again, and giving the room that compaction made back to the disk.
//
// Rules:
// - The leader disarms NOSPACE, whichever member raised it, when what its own store holds has been
//   below the low-water mark for a while: the stores are alike, so there is room everywhere. The
//   mark is well below the quota, or the alarm would be back with the next write.
// - Each member gives back its own files' space, when they are much larger than what they hold.
//   That costs a pass over them, so it begins only when about a third of them is to be won.

import { grpcStatus, idToHex, QuorateError } from "../base/index.ts";
import type { Clock, Logger, Revision } from "../base/index.ts";
import { AlarmRequest, AlarmRequestAlarmAction, AlarmType } from "../wire/index.ts";
import type { Engine } from "../storage/engine.ts";
import type { Alarm, CommandKind, CommandResult } from "./handle.ts";

/** Shares of the quota that are worth a line in the log. */
const warningLevels = [0.8, 0.9, 0.95] as const;
/** NOSPACE ends below this share of the quota, once it has lasted so long, milliseconds. */
const lowWater = 0.9;
const disarmAfterMs = 3_000;
/** Files are worth a pass when they exceed what they hold by half of it and this, bytes. */
const excessBytesMin = 16 * 1024 * 1024;
const reclaimPauseMs = 30_000;
/** The pause after a pass that won little. */
const reclaimPauseMsMax = 600_000;
const littleWon = 0.1;
/** What compaction did last is on its way to the engine for so long, milliseconds. */
const settleMs = 2_000;

export interface SpaceWatchNode {
  /** Whether the node leads and has applied what it needs to act. */
  isLeader(): boolean;
  alarms(): readonly Alarm[];
  sizeInUseBytes(): number;
  sizeBytes(): number;
  /** The engine in use; undefined while another is put in its place. */
  engine(): Engine | undefined;
  compactedRevision(): Revision;
  /** Whether compaction still has something to free. */
  isCompacting(): boolean;
  propose(kind: CommandKind, encoded: Uint8Array): Promise<CommandResult>;
  /** A pass begins (undefined), or has ended. */
  onReclaim(elapsedMs: number | undefined): void;
  onFatal(error: unknown): void;
}

export class SpaceWatch {
  readonly #node: SpaceWatchNode;
  readonly #quotaBytes: number;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #level = 0;
  /** Since when the alarm has been up and the store below the mark. */
  #roomSinceMs: number | undefined;
  #disarming = false;
  #reclaiming: Promise<void> | undefined;
  #reclaimNotBeforeMs = 0;
  /** The compacted revision when the last pass began. */
  #reclaimedTo: Revision | undefined;
  #compactedAtMs = 0;

  constructor(node: SpaceWatchNode, quotaBytes: number, clock: Clock, logger: Logger) {
    this.#node = node;
    this.#quotaBytes = quotaBytes > 0 ? quotaBytes : Number.POSITIVE_INFINITY;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Called some times a second. */
  tick(nowMs: number): void {
    const inUse = this.#node.sizeInUseBytes();
    this.#warn(inUse);
    this.#disarmWhenRoom(inUse, nowMs);
    if (this.#isReclaimDue(nowMs)) {
      const excess = this.#node.sizeBytes() - inUse;
      if (excess > inUse / 2 + excessBytesMin) {
        this.reclaim();
      }
    }
  }

  /** After a compaction has ended and been written out, and now and then besides. */
  #isReclaimDue(nowMs: number): boolean {
    const compacted = this.#node.compactedRevision();
    if (this.#reclaiming !== undefined || this.#node.isCompacting()) {
      this.#compactedAtMs = nowMs;
      return false;
    }
    if (compacted !== this.#reclaimedTo) {
      return nowMs - this.#compactedAtMs >= settleMs;
    }
    return nowMs >= this.#reclaimNotBeforeMs;
  }

  /** Begins to give back what the disk can have, unless that is under way. */
  reclaim(): void {
    this.#reclaiming ??= this.#reclaim().then(
      () => {
        this.#reclaiming = undefined;
      },
      (error: unknown) => {
        this.#reclaiming = undefined;
        this.#node.onFatal(error);
      },
    );
  }

  async #reclaim(): Promise<void> {
    const engine = this.#node.engine();
    if (engine === undefined) {
      return;
    }
    const before = engine.sizeBytes();
    const startedMs = this.#clock.monotonicMs();
    this.#node.onReclaim(undefined);
    this.#reclaimedTo = this.#node.compactedRevision();
    try {
      await engine.reclaim?.();
    } catch (error) {
      // A store that was closed or replaced meanwhile has nothing to give back.
      if (engine === this.#node.engine()) {
        throw error;
      }
    }
    const nowMs = this.#clock.monotonicMs();
    this.#node.onReclaim(nowMs - startedMs);
    const won = before - engine.sizeBytes();
    this.#reclaimNotBeforeMs =
      nowMs + (won < before * littleWon ? reclaimPauseMsMax : reclaimPauseMs);
    this.#logger.info(
      { before, after: engine.sizeBytes(), elapsedMs: Math.round(nowMs - startedMs) },
      "gave disk space back",
    );
  }

  #warn(inUse: number): void {
    const share = inUse / this.#quotaBytes;
    const level = warningLevels.filter((mark) => share >= mark).length;
    if (level > this.#level) {
      this.#logger.warn(
        { sizeInUse: inUse, quota: this.#quotaBytes, percent: Math.floor(share * 100) },
        "the store nears its quota: delete and compact, or raise --quota-backend-bytes",
      );
    }
    this.#level = level;
  }

  #disarmWhenRoom(inUse: number, nowMs: number): void {
    const raised = this.#node.alarms().filter((alarm) => alarm.kind === "noSpace");
    if (raised.length === 0 || inUse >= this.#quotaBytes * lowWater || !this.#node.isLeader()) {
      this.#roomSinceMs = undefined;
      return;
    }
    this.#roomSinceMs ??= nowMs;
    if (nowMs - this.#roomSinceMs < disarmAfterMs || this.#disarming) {
      return;
    }
    this.#disarming = true;
    const proposals = raised.map(({ memberId }) =>
      this.#node.propose(
        "alarm",
        AlarmRequest.encode({
          action: AlarmRequestAlarmAction.DEACTIVATE,
          memberId,
          alarm: AlarmType.NOSPACE,
        }),
      ),
    );
    Promise.all(proposals).then(
      () => {
        this.#disarming = false;
        const members = raised.map(({ memberId }) => idToHex(memberId));
        this.#logger.info({ members, sizeInUse: inUse }, "there is room again: NOSPACE disarmed");
      },
      (error: unknown) => {
        this.#disarming = false;
        if (!(error instanceof QuorateError && error.status === grpcStatus.unavailable)) {
          this.#logger.warn({ err: error }, "could not disarm NOSPACE");
        }
      },
    );
  }
}
