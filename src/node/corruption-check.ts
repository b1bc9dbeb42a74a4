// Comparing the members' stores by hash (HashKV), so that one that has gone its own way is found
// before what it holds spreads.
//
// The leader takes its current revision and asks every member for its hash there. Each member walks
// its store in its own time, so the answer is asked for until it is there. Hashes are comparable
// where the compacted revisions are the same too; what is not is left to the next check.
//
// Whose hash is not that of a majority of all members gets a CORRUPT alarm; where no hash has a
// majority nobody can tell who is wrong, and the alarm names member 0, as etcd does. From then on
// every member refuses writes with "corrupt cluster", until an operator has replaced the member
// and disarmed the alarm.
//
// A check costs a pass over the store: so it is made after a compaction, which is a pass too
// (--compact-hash-check-time), and else only when it is asked for (--corrupt-check-time).

import {
  DecodeError,
  idToHex,
  noMember,
  QuorateError,
  readU32,
  readU64,
  toMemberId,
  toRevision,
  writeU32,
  writeU64,
} from "../base/index.ts";
import type { Clock, Logger, MemberId, Revision } from "../base/index.ts";
import type { PeerNetwork } from "../peer/contract.ts";
import { AlarmRequest, AlarmRequestAlarmAction, AlarmType } from "../wire/index.ts";
import { forwardedCall } from "./forwarding.ts";
import type { CommandKind, CommandResult, HashResult } from "./handle.ts";

const askTimeoutMs = 5_000;
const askAgainMs = 500;
/** A member that has not hashed its store by then is left out, milliseconds. */
const answerWithinMs = 30 * 60_000;
/** How long a member keeps what it was asked for. */
const jobsMax = 4;
/** How often a check is made again for a member that did not answer. */
const attemptsMax = 5;
/** Revision, then the check's number. */
const callBytes = 16;
/** What is known, then hash and compacted revision. */
const answerBytes = 13;
const answered = { pending: 0, done: 1, failed: 2 } as const;

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
  /** Slowly, so that nobody notices. */
  hashKv(revision: Revision): Promise<HashResult>;
  propose(kind: CommandKind, encoded: Uint8Array): Promise<CommandResult>;
}

interface Job {
  readonly revision: Revision;
  /** Tells one check from another, which may find a store compacted or damaged since. */
  readonly check: number;
  state: "pending" | "failed" | HashResult;
}

/** A member's hash, or undefined where it could not be had or compared. */
type Answer = Pick<HashResult, "hash" | "compactedRevision"> | undefined;

export class CorruptionCheck {
  readonly #node: CorruptionCheckNode;
  readonly #config: CorruptionCheckConfig;
  readonly #network: PeerNetwork;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #jobs: Job[] = [];
  #running = false;
  #stopped = false;
  #checkedAtMs: number;
  #comparedAtMs: number;
  /** The compacted revision at the last check; -1 when it is to be made again. */
  #checkedCompacted = 0;
  /** Checks since the store was compacted last. */
  #attempts = 0;
  #attemptedAt = 0;

  constructor(
    node: CorruptionCheckNode,
    config: CorruptionCheckConfig,
    network: PeerNetwork,
    clock: Clock,
    logger: Logger,
  ) {
    this.#node = node;
    this.#config = config;
    this.#network = network;
    this.#clock = clock;
    this.#logger = logger;
    this.#checkedAtMs = clock.monotonicMs();
    this.#comparedAtMs = this.#checkedAtMs;
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

  stop(): void {
    this.#stopped = true;
  }

  /** Answers another member, or this one, at once: the hash at a revision, or "not yet". */
  answer(body: Uint8Array): Uint8Array {
    if (body.length !== callBytes) {
      throw new DecodeError(`a hash call has ${callBytes} bytes`);
    }
    const { state } = this.#jobOf(toRevision(readU64(body, 0)), readU64(body, 8));
    const reply = new Uint8Array(answerBytes);
    if (typeof state === "string") {
      reply[0] = answered[state];
    } else {
      reply[0] = answered.done;
      writeU32(reply, 1, state.hash);
      writeU64(reply, 5, state.compactedRevision);
    }
    return reply;
  }

  #isDue(nowMs: number): boolean {
    const { everyMs, afterCompactionMs } = this.#config;
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

  /** What the check has asked for already, or a walk that begins now. */
  #jobOf(revision: Revision, check: number): Job {
    const known = this.#jobs.find((job) => job.revision === revision && job.check === check);
    if (known !== undefined) {
      return known;
    }
    const job: Job = { revision, check, state: "pending" };
    if (revision > this.#node.revision()) {
      // Not applied here yet; whoever asks will ask again.
      return job;
    }
    this.#jobs = [...this.#jobs, job].slice(-jobsMax);
    this.#node.hashKv(revision).then(
      (result) => {
        job.state = result;
      },
      () => {
        job.state = "failed";
      },
    );
    return job;
  }

  async #check(): Promise<void> {
    const revision = this.#node.revision();
    const members = this.#node.members();
    const call = new Uint8Array(callBytes);
    writeU64(call, 0, revision);
    writeU64(call, 8, Math.floor(this.#clock.wallMs()));
    const answers = await Promise.all(
      members.map(async (id) => [id, await this.#ask(id, call)] as const),
    );
    const own = answers.find(([id]) => id === this.#node.self)?.[1];
    const comparable = answers.filter(
      ([, answer]) => answer !== undefined && answer.compactedRevision === own?.compactedRevision,
    ) as (readonly [MemberId, NonNullable<Answer>])[];
    if (comparable.length < members.length && this.#attempts < attemptsMax) {
      // Somebody was away, or compacting just then.
      this.#attempts++;
      this.#checkedCompacted = -1;
    }
    const suspects = suspectsOf(comparable, members.length);
    if (suspects.length === 0) {
      const fields = { revision, members: comparable.length };
      this.#logger.info(fields, "compared the members' stores: they agree");
      return;
    }
    const hashes = comparable.map(([id, { hash }]) => `${idToHex(id)}: ${hash}`);
    this.#logger.error(
      { revision, hashes, suspects: suspects.map(idToHex) },
      "the members' stores differ: remove each suspect, add it anew with an empty data directory, " +
        "then disarm the alarm",
    );
    await Promise.all(suspects.map((id) => this.#raise(id)));
  }

  async #ask(to: MemberId, call: Uint8Array): Promise<Answer> {
    const endMs = this.#clock.monotonicMs() + answerWithinMs;
    const request = (): Promise<Uint8Array> =>
      to === this.#node.self
        ? Promise.resolve(this.answer(call))
        : this.#network.request(to, forwardedCall.hashKv, call, askTimeoutMs);
    while (!this.#stopped && this.#node.isLeader() && this.#clock.monotonicMs() < endMs) {
      const reply = await request().catch(() => undefined);
      if (reply === undefined || reply.length !== answerBytes || reply[0] === answered.failed) {
        return undefined;
      }
      if (reply[0] === answered.done) {
        return {
          hash: readU32(reply, 1),
          compactedRevision: toRevision(readU64(reply, 5)),
        };
      }
      await new Promise<void>((resolve) => {
        this.#clock.after(askAgainMs, resolve);
      });
    }
    return undefined;
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
