// Asking the members, this one too, for the hash of their stores at a revision.
//
// Each member walks its store in its own time, so the answer is asked for until it is there. Hashes
// are comparable where the compacted revisions are the same too.

import { DecodeError, readU32, readU64, toRevision, writeU32, writeU64 } from "../base/index.ts";
import type { Clock, MemberId, Revision } from "../base/index.ts";
import type { PeerNetwork } from "../peer/contract.ts";
import { forwardedCall } from "./forwarding.ts";
import type { HashResult } from "./handle.ts";

const askTimeoutMs = 5_000;
const askAgainMs = 500;
/** A member that has not hashed its store by then is left out, milliseconds. */
const answerWithinMs = 30 * 60_000;
/** How long a member keeps what it was asked for. */
const jobsMax = 4;
/** Revision, then the check's number. */
const callBytes = 16;
/** What is known, then hash and compacted revision. */
const answerBytes = 13;
const answered = { pending: 0, done: 1, failed: 2 } as const;

export interface HashExchangeNode {
  readonly self: MemberId;
  revision(): Revision;
  /** Slowly, so that nobody notices. */
  hashKv(revision: Revision): Promise<HashResult>;
}

interface Job {
  readonly revision: Revision;
  /** Tells one check from another, which may find a store compacted or damaged since. */
  readonly check: number;
  state: "pending" | "failed" | HashResult;
}

export interface MemberHash {
  readonly id: MemberId;
  readonly hash: number;
  readonly compactedRevision: Revision;
}

export class HashExchange {
  readonly #node: HashExchangeNode;
  readonly #network: PeerNetwork;
  readonly #clock: Clock;
  #jobs: Job[] = [];
  #stopped = false;

  constructor(node: HashExchangeNode, network: PeerNetwork, clock: Clock) {
    this.#node = node;
    this.#network = network;
    this.#clock = clock;
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

  /**
   * The hashes of those members whose store was compacted as far as this one's; the others are
   * away, or compacting just then. Stops waiting when `wanted` no longer holds.
   */
  async compare(
    members: readonly MemberId[],
    revision: Revision,
    wanted: () => boolean,
  ): Promise<MemberHash[]> {
    const call = new Uint8Array(callBytes);
    writeU64(call, 0, revision);
    writeU64(call, 8, Math.floor(this.#clock.wallMs()));
    const answers = await Promise.all(members.map((id) => this.#ask(id, call, wanted)));
    const own = answers.find((answer) => answer?.id === this.#node.self);
    return answers.filter(
      (answer): answer is MemberHash =>
        answer !== undefined && answer.compactedRevision === own?.compactedRevision,
    );
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

  async #ask(
    to: MemberId,
    call: Uint8Array,
    wanted: () => boolean,
  ): Promise<MemberHash | undefined> {
    const endMs = this.#clock.monotonicMs() + answerWithinMs;
    const request = (): Promise<Uint8Array> =>
      to === this.#node.self
        ? Promise.resolve(this.answer(call))
        : this.#network.request(to, forwardedCall.hashKv, call, askTimeoutMs);
    while (!this.#stopped && wanted() && this.#clock.monotonicMs() < endMs) {
      const reply = await request().catch(() => undefined);
      if (reply === undefined || reply.length !== answerBytes || reply[0] === answered.failed) {
        return undefined;
      }
      if (reply[0] === answered.done) {
        const compactedRevision = toRevision(readU64(reply, 5));
        return { id: to, hash: readU32(reply, 1), compactedRevision };
      }
      await new Promise<void>((resolve) => {
        this.#clock.after(askAgainMs, resolve);
      });
    }
    return undefined;
  }
}
