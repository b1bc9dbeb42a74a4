// Comparing the members' stores by hash (HashKV), so that one that has gone its own way is found
// before what it holds spreads.
//
// The leader takes its current revision and asks every member for its hash there, by way of
// hash-exchange.ts. What is not comparable is left to the next check.
//
// Whose hash is not that of a majority of all members gets a CORRUPT alarm; where no hash has a
// majority nobody can tell who is wrong, and the alarm names member 0, as etcd does. From then on
// every member refuses writes with "corrupt cluster", until an operator has replaced the member
// and disarmed the alarm.
//
// A check costs a pass over the store: so it is made after a compaction, which is a pass too
// (--compact-hash-check-time), and else only when it is asked for (--corrupt-check-time).

import { idToHex, noMember, QuorateError, toMemberId } from "../base/index.ts";
import type { Logger, MemberId, Revision } from "../base/index.ts";
import { AlarmRequest, AlarmRequestAlarmAction, AlarmType } from "../wire/index.ts";
import type { CommandKind, CommandResult } from "./handle.ts";
import type { HashExchange } from "./hash-exchange.ts";

/** How often a check is made again for a member that did not answer. */
const attemptsMax = 5;

export interface CorruptionCheckConfig {
  /** Every so often; 0 for never. */
  readonly everyMs: number;
  /** Every so often, if the store was compacted since; 0 for never. */
  readonly afterCompactionMs: number;
}

export interface CorruptionCheckNode {
  readonly self: MemberId;
  isLeader(): boolean;
  members(): readonly MemberId[];
  revision(): Revision;
  compactedRevision(): Revision;
  propose(kind: CommandKind, encoded: Uint8Array): Promise<CommandResult>;
}

export class CorruptionCheck {
  readonly #node: CorruptionCheckNode;
  readonly #config: CorruptionCheckConfig;
  readonly #hashes: HashExchange;
  readonly #logger: Logger;
  #running = false;
  /** Undefined until the first tick. */
  #checkedAtMs: number | undefined;
  #comparedAtMs = 0;
  /** The compacted revision at the last check; -1 when it is to be made again. */
  #checkedCompacted = 0;
  /** Checks since the store was compacted last. */
  #attempts = 0;
  #attemptedAt = 0;

  constructor(
    node: CorruptionCheckNode,
    config: CorruptionCheckConfig,
    hashes: HashExchange,
    logger: Logger,
  ) {
    this.#node = node;
    this.#config = config;
    this.#hashes = hashes;
    this.#logger = logger;
  }

  /** Called some times a second. */
  tick(nowMs: number): void {
    if (this.#running || !this.#node.isLeader() || !this.#isDue(nowMs)) {
      return;
    }
    this.#running = true;
    const compacted = this.#node.compactedRevision();
    this.#attempts = compacted === this.#attemptedAt ? this.#attempts : 0;
    this.#attemptedAt = compacted;
    this.#checkedCompacted = compacted;
    this.#check().then(
      () => this.#ended(),
      (error: unknown) => {
        this.#logger.warn({ err: error }, "the members' stores could not be compared");
        this.#ended();
      },
    );
  }

  #isDue(nowMs: number): boolean {
    const { everyMs, afterCompactionMs } = this.#config;
    if (this.#checkedAtMs === undefined) {
      this.#checkedAtMs = nowMs;
      this.#comparedAtMs = nowMs;
    }
    if (everyMs > 0 && nowMs - this.#checkedAtMs >= everyMs) {
      this.#checkedAtMs = nowMs;
      return true;
    }
    if (afterCompactionMs > 0 && nowMs - this.#comparedAtMs >= afterCompactionMs) {
      this.#comparedAtMs = nowMs;
      return this.#node.compactedRevision() !== this.#checkedCompacted;
    }
    return false;
  }

  #ended(): void {
    this.#running = false;
  }

  async #check(): Promise<void> {
    const revision = this.#node.revision();
    const members = this.#node.members();
    const comparable = await this.#hashes.compare(members, revision, () => this.#node.isLeader());
    if (comparable.length < members.length && this.#attempts < attemptsMax) {
      // Somebody was away, or compacting just then.
      this.#attempts++;
      this.#checkedCompacted = -1;
    }
    const suspects = suspectsOf(
      comparable.map(({ id, hash }) => [id, { hash }] as const),
      members.length,
    );
    if (suspects.length === 0) {
      const fields = { revision, members: comparable.length };
      this.#logger.info(fields, "compared the members' stores: they agree");
      return;
    }
    const hashes = comparable.map(({ id, hash }) => `${idToHex(id)}: ${hash}`);
    this.#logger.error(
      { revision, hashes, suspects: suspects.map(idToHex) },
      "the members' stores differ: remove each suspect, add it anew with an empty data directory, " +
        "then disarm the alarm",
    );
    await Promise.all(suspects.map((id) => this.#raise(id)));
  }

  async #raise(memberId: MemberId): Promise<void> {
    const alarm = AlarmType.CORRUPT;
    const action = AlarmRequestAlarmAction.ACTIVATE;
    try {
      await this.#node.propose("alarm", AlarmRequest.encode({ action, memberId, alarm }));
    } catch (error) {
      // The next check finds the same.
      this.#checkedCompacted = -1;
      if (!(error instanceof QuorateError)) {
        throw error;
      }
    }
  }
}

/**
 * Whose hash differs from that of a majority of all members; member 0 where they differ and no hash
 * has a majority.
 */
export function suspectsOf(
  answers: readonly (readonly [MemberId, { readonly hash: number }])[],
  memberCount: number,
): MemberId[] {
  const votes = new Map<number, number>();
  for (const [, { hash }] of answers) {
    votes.set(hash, (votes.get(hash) ?? 0) + 1);
  }
  if (votes.size < 2) {
    return [];
  }
  const quorum = Math.floor(memberCount / 2) + 1;
  const right = [...votes].find(([, count]) => count >= quorum)?.[0];
  return right === undefined
    ? [toMemberId(noMember)]
    : answers.filter(([, { hash }]) => hash !== right).map(([id]) => id);
}
