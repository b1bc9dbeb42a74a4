// Changing the members at run time. The leader checks a change against what is applied and
// against the health of the others, so that no change takes the quorum away; other members
// forward to it. One change at a time: the next is proposed when the last is applied.
//
// The checks and their texts are etcd's (strict reconfiguration, server/etcdserver/server.go).

import { errorTable, noMember, QuorateError } from "../base/index.ts";
import type { Clock, ErrorCode, MemberId } from "../base/index.ts";
import type { RaftStatus } from "../raft/index.ts";
import type { PeerNetwork } from "../peer/contract.ts";
import type { Membership } from "../membership/index.ts";
import { ConfChange, ConfChangeStepKind } from "../wire/index.ts";
import type { ConfChangeStep } from "../wire/index.ts";
import { toRaftChange } from "./conf-change.ts";
import { forwardedCall } from "./forwarding.ts";
import type { Member } from "./handle.ts";
import { deriveMemberId } from "./ids.ts";
import type { Proposals } from "./proposals.ts";
import type { RaftDriver } from "./raft-driver.ts";

/** A learner may be promoted once it holds this share of the leader's log, as in etcd. */
const readyShare = 0.9;

export interface MembershipServiceNode {
  readonly self: MemberId;
  readonly driver: RaftDriver;
  readonly proposals: Proposals;
  readonly learnersMax: number;
  /** --strict-reconfig-check. */
  readonly strict: boolean;
  membership(): Membership;
  raft(): RaftStatus;
  deadlineMs(): number;
  /** Resolves when what is applied here includes everything acknowledged before. */
  linearize(): Promise<void>;
  /** A promotion was carried out on this leader, or refused with a text. */
  onPromotion(refused: string | undefined): void;
}

export class MembershipService {
  readonly #node: MembershipServiceNode;
  readonly #network: PeerNetwork;
  readonly #clock: Clock;
  /** The last change under way; the next waits for it. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(node: MembershipServiceNode, network: PeerNetwork, clock: Clock) {
    this.#node = node;
    this.#network = network;
    this.#clock = clock;
  }

  /** Adds a member that is to be started with these peer URLs, and returns it. */
  async add(peerUrls: readonly string[], isLearner: boolean): Promise<Member> {
    const urls = [...peerUrls].sort();
    const id = deriveMemberId(urls, "", Math.floor(this.#clock.wallMs() / 1000));
    const kind = isLearner ? ConfChangeStepKind.ADD_LEARNER : ConfChangeStepKind.ADD_VOTER;
    await this.#change({ kind, memberId: id, peerUrls: urls });
    return { id, name: "", peerUrls: urls, clientUrls: [], isLearner };
  }

  remove(id: MemberId): Promise<void> {
    return this.#change({ kind: ConfChangeStepKind.REMOVE, memberId: id, peerUrls: [] });
  }

  /** Gives a member other peer URLs. */
  update(id: MemberId, peerUrls: readonly string[]): Promise<void> {
    const urls = [...peerUrls].sort();
    return this.#change({ kind: ConfChangeStepKind.UPDATE, memberId: id, peerUrls: urls });
  }

  /** Makes a voter of a learner that has caught up. */
  promote(id: MemberId): Promise<void> {
    return this.#change({ kind: ConfChangeStepKind.ADD_VOTER, memberId: id, peerUrls: [] });
  }

  /** Answers a change forwarded by another member. */
  async answer(body: Uint8Array): Promise<Uint8Array> {
    const [step] = ConfChange.decode(body).steps;
    if (step !== undefined) {
      await this.#lead(step);
    }
    return new Uint8Array(0);
  }

  async #change(step: ConfChangeStep): Promise<void> {
    const raft = this.#node.raft();
    if (raft.leader === noMember) {
      throw new QuorateError("noLeader");
    }
    if (raft.role === "leader") {
      await this.#lead(step);
      return;
    }
    const body = ConfChange.encode({ origin: 0n, sequence: 0, steps: [step] });
    const timeoutMs = this.#node.deadlineMs() - this.#clock.monotonicMs();
    try {
      await this.#network.request(raft.leader, forwardedCall.memberChange, body, timeoutMs);
    } catch (error) {
      throw new QuorateError(codeOf(error) ?? "timeoutConnectionLost", { cause: error });
    }
    // So that a list asked for next, here, shows the change.
    await this.#node.linearize();
  }

  #lead(step: ConfChangeStep): Promise<void> {
    const change = this.#last.then(() => this.#proposeChange(step));
    this.#last = change.catch(() => {});
    if (isPromotion(step)) {
      change.then(
        () => this.#node.onPromotion(undefined),
        (error: unknown) =>
          this.#node.onPromotion(error instanceof Error ? error.message : String(error)),
      );
    }
    return change;
  }

  async #proposeChange(step: ConfChangeStep): Promise<void> {
    const code = this.#refusal(step);
    if (code !== undefined) {
      throw new QuorateError(code);
    }
    const { proposals, driver } = this.#node;
    const sequence = proposals.nextSequence();
    const change: ConfChange = { origin: proposals.origin, sequence, steps: [step] };
    const answer = proposals.wait(sequence, this.#node.deadlineMs());
    const outcome = driver.proposeConfChange(toRaftChange(change), ConfChange.encode(change));
    if (outcome.kind === "refused") {
      // Another change is not finished (a joint configuration, say), or leadership is moving.
      proposals.fail(sequence, outcome.reason === "noLeader" ? "leaderChanged" : "unhealthy");
    }
    const result = await answer;
    if (result.kind === "error") {
      throw new QuorateError(result.code);
    }
  }

  #refusal(step: ConfChangeStep): ErrorCode | undefined {
    const { learnersMax, strict } = this.#node;
    const membership = this.#node.membership();
    const change: ConfChange = { origin: 0n, sequence: 0, steps: [step] };
    const code = membership.check(change, { learnersMax });
    if (code !== undefined || step.kind === ConfChangeStepKind.UPDATE) {
      return code;
    }
    if (isPromotion(step) && !this.#hasCaughtUp(step.memberId)) {
      return "learnerNotReady";
    }
    if (!strict) {
      return undefined;
    }
    if (isPromotion(step)) {
      return this.#promotionRefusal(membership);
    }
    return step.kind === ConfChangeStepKind.REMOVE
      ? this.#removalRefusal(membership, step.memberId)
      : this.#additionRefusal(membership, step.kind === ConfChangeStepKind.ADD_LEARNER);
  }

  #hasCaughtUp(id: bigint): boolean {
    const { progress, lastIndex } = this.#node.raft();
    const match = progress.get(id as MemberId)?.match ?? 0;
    return match >= lastIndex * readyShare;
  }

  /**
   * Those who have started, with the learner, must be a quorum of the voters then, and so must
   * those heard of: one dead voter does not keep a learner from taking its place, as in etcd.
   */
  #promotionRefusal(membership: Membership): ErrorCode | undefined {
    const voters = membership.members().filter((member) => !member.isLearner);
    const quorum = Math.floor((voters.length + 1) / 2) + 1;
    const started = voters.filter((member) => member.name !== "").length;
    if (started + 1 < quorum) {
      return "memberNotEnoughStarted";
    }
    const active = voters.filter((member) => this.#isActive(member.id)).length;
    return active + 1 < quorum ? "unhealthy" : undefined;
  }

  /** A new voter raises the quorum: those who have started must be able to make it. */
  #additionRefusal(membership: Membership, isLearner: boolean): ErrorCode | undefined {
    const voters = membership.members().filter((member) => !member.isLearner);
    const started = voters.filter((member) => member.name !== "").length;
    const quorum = Math.floor((voters.length + 1) / 2) + 1;
    if (!isLearner && !(voters.length === 1 && started === 1) && started < quorum) {
      return "memberNotEnoughStarted";
    }
    return voters.every((member) => this.#isActive(member.id)) ? undefined : "unhealthy";
  }

  /** Those who stay must be a quorum, in names and in fact; taking away a dead one never hurts. */
  #removalRefusal(membership: Membership, id: bigint): ErrorCode | undefined {
    const removed = membership.members().find((member) => member.id === id);
    if (removed === undefined || removed.isLearner) {
      return undefined;
    }
    const voters = membership.members().filter((member) => !member.isLearner);
    const staying = voters.filter((member) => member.id !== id);
    const started = staying.filter((member) => member.name !== "").length;
    if (staying.length === 0 || started < Math.floor(staying.length / 2) + 1) {
      return "memberNotEnoughStarted";
    }
    if (!this.#isActive(removed.id)) {
      return undefined;
    }
    const active = voters.filter((member) => this.#isActive(member.id)).length;
    return active - 1 < 1 + Math.floor((voters.length - 1) / 2) ? "unhealthy" : undefined;
  }

  #isActive(id: MemberId): boolean {
    return id === this.#node.self || (this.#node.raft().progress.get(id)?.recentlyActive ?? false);
  }
}

function isPromotion({ kind, peerUrls }: ConfChangeStep): boolean {
  return kind === ConfChangeStepKind.ADD_VOTER && peerUrls.length === 0;
}

/** The error of ours whose text a peer's answer carries; the longest, as some begin like others. */
function codeOf(error: unknown): ErrorCode | undefined {
  const text = error instanceof Error ? error.message : "";
  const codes = Object.keys(errorTable) as ErrorCode[];
  return codes
    .filter((code) => text.includes(errorTable[code].text))
    .sort((a, b) => errorTable[b].text.length - errorTable[a].text.length)[0];
}
