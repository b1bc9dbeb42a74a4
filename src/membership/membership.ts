// Membership: who the members are, who was one, and the voting configuration.

import { compareIds, CorruptionError, toClusterId, toMemberId } from "../base/index.ts";
import type { ClusterId, ConfState, ErrorCode, MemberId } from "../base/index.ts";
import type { BatchOperation } from "../storage/engine.ts";
import { ConfChangeStepKind, MembershipRecord } from "../wire/index.ts";
import type { ConfChange, ConfChangeStep } from "../wire/index.ts";

export interface Member {
  readonly id: MemberId;
  /** Empty until the member has started once and published itself. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
}

export interface MembershipState {
  readonly clusterId: ClusterId;
  readonly members: readonly Member[];
  /** Ids that were members once. */
  readonly removed: readonly MemberId[];
  readonly confState: ConfState;
}

/** The record that holds everything; also what a start reads. */
export const membershipKey: Uint8Array = Uint8Array.of(0x6d);

export class Membership {
  readonly clusterId: ClusterId;
  readonly #members = new Map<MemberId, Member>();
  readonly #removed = new Set<MemberId>();
  #confState: ConfState;
  #dirty: boolean;

  /** A state that is not in the engine yet; `decodeMembership` gives one that is. */
  constructor(state: MembershipState, options: { readonly stored: boolean }) {
    this.clusterId = state.clusterId;
    for (const member of state.members) {
      this.#members.set(member.id, member);
    }
    for (const id of state.removed) {
      this.#removed.add(id);
    }
    this.#confState = state.confState;
    this.#dirty = !options.stored;
  }

  /** The first members of a new cluster, all of them voters unless they are learners. */
  static bootstrap(clusterId: ClusterId, members: readonly Member[]): Membership {
    const sorted = [...members].sort((a, b) => compareIds(a.id, b.id));
    const confState: ConfState = {
      voters: sorted.filter((member) => !member.isLearner).map((member) => member.id),
      votersOutgoing: [],
      learners: sorted.filter((member) => member.isLearner).map((member) => member.id),
      learnersNext: [],
      autoLeave: false,
    };
    return new Membership(
      { clusterId, members: sorted, removed: [], confState },
      { stored: false },
    );
  }

  /** By id, ascending. */
  members(): readonly Member[] {
    return [...this.#members.values()].sort((a, b) => compareIds(a.id, b.id));
  }

  member(id: MemberId): Member | undefined {
    return this.#members.get(id);
  }

  /** An id that was a member may never be one again: its log is not to be trusted. */
  isRemoved(id: MemberId): boolean {
    return this.#removed.has(id);
  }

  get confState(): ConfState {
    return this.#confState;
  }

  /**
   * Whether a change fits what is applied, by etcd's rules and in their order; to be asked before
   * proposing. Undefined when it does.
   */
  check(change: ConfChange, options: { readonly learnersMax: number }): ErrorCode | undefined {
    for (const step of change.steps) {
      const code = this.#checkStep(step, options.learnersMax);
      if (code !== undefined) {
        return code;
      }
    }
    return undefined;
  }

  #checkStep(step: ConfChangeStep, learnersMax: number): ErrorCode | undefined {
    const id = toMemberId(step.memberId);
    const member = this.#members.get(id);
    if (this.#removed.has(id)) {
      return "memberNotFound";
    }
    switch (step.kind) {
      case ConfChangeStepKind.ADD_VOTER:
        if (step.peerUrls.length === 0) {
          return this.#checkPromotion(member);
        }
        return member === undefined ? this.#checkUrls(id, step.peerUrls) : "memberExists";
      case ConfChangeStepKind.ADD_LEARNER:
        if (member !== undefined) {
          return "memberExists";
        }
        return this.#checkUrls(id, step.peerUrls) ?? this.#checkLearners(learnersMax);
      case ConfChangeStepKind.UPDATE:
        return member === undefined ? "memberNotFound" : this.#checkUrls(id, step.peerUrls);
      default:
        return member === undefined ? "memberNotFound" : undefined;
    }
  }

  #checkPromotion(member: Member | undefined): ErrorCode | undefined {
    if (member === undefined) {
      return "memberNotFound";
    }
    return member.isLearner ? undefined : "memberNotLearner";
  }

  #checkUrls(id: MemberId, peerUrls: readonly string[]): ErrorCode | undefined {
    for (const member of this.#members.values()) {
      if (member.id !== id && member.peerUrls.some((url) => peerUrls.includes(url))) {
        return "peerUrlExists";
      }
    }
    return undefined;
  }

  #checkLearners(learnersMax: number): ErrorCode | undefined {
    const learners = [...this.#members.values()].filter((member) => member.isLearner);
    return learners.length >= learnersMax ? "tooManyLearners" : undefined;
  }

  /**
   * Follows a committed change; `confState` is the configuration that the raft core has now.
   * Undefined leaves a joint configuration, which changes no member.
   */
  applyConfChange(change: ConfChange | undefined, confState: ConfState): void {
    for (const step of change?.steps ?? []) {
      this.#applyStep(step);
    }
    this.#confState = confState;
    this.#dirty = true;
  }

  #applyStep(step: ConfChangeStep): void {
    const id = toMemberId(step.memberId);
    const member = this.#members.get(id);
    switch (step.kind) {
      case ConfChangeStepKind.ADD_VOTER:
      case ConfChangeStepKind.ADD_LEARNER:
        this.#members.set(id, {
          id,
          name: member?.name ?? "",
          peerUrls: step.peerUrls.length > 0 ? [...step.peerUrls] : (member?.peerUrls ?? []),
          clientUrls: member?.clientUrls ?? [],
          isLearner: step.kind === ConfChangeStepKind.ADD_LEARNER,
        });
        return;
      case ConfChangeStepKind.REMOVE:
        this.#members.delete(id);
        this.#removed.add(id);
        return;
      case ConfChangeStepKind.UPDATE:
        if (member !== undefined) {
          this.#members.set(id, { ...member, peerUrls: [...step.peerUrls] });
        }
        return;
      default:
        throw new CorruptionError(`unknown membership step ${step.kind}`);
    }
  }

  /** A member published itself. False when there is no such member (any more). */
  setAttributes(id: MemberId, name: string, clientUrls: readonly string[]): boolean {
    const member = this.#members.get(id);
    if (member === undefined) {
      return false;
    }
    this.#members.set(id, { ...member, name, clientUrls: [...clientUrls] });
    this.#dirty = true;
    return true;
  }

  /** The record, if it changed since the last call. */
  collectDirty(): BatchOperation[] {
    if (!this.#dirty) {
      return [];
    }
    this.#dirty = false;
    return [{ kind: "put", key: membershipKey, value: this.encode() }];
  }

  encode(): Uint8Array {
    return MembershipRecord.encode({
      clusterId: this.clusterId,
      members: this.members(),
      removed: [...this.#removed].sort(compareIds),
      confState: this.#confState,
    });
  }
}

/** What `membershipKey` holds. Throws CorruptionError. */
export function decodeMembership(value: Uint8Array): Membership {
  let record: MembershipRecord;
  try {
    record = MembershipRecord.decode(value);
  } catch (error) {
    throw new CorruptionError("the membership record does not parse", { cause: error });
  }
  const { confState } = record;
  if (confState === undefined || record.clusterId === 0n) {
    throw new CorruptionError("the membership record is incomplete");
  }
  return new Membership(
    {
      clusterId: toClusterId(record.clusterId),
      members: record.members.map((member) => ({ ...member, id: toMemberId(member.id) })),
      removed: record.removed.map(toMemberId),
      confState: {
        voters: confState.voters.map(toMemberId),
        votersOutgoing: confState.votersOutgoing.map(toMemberId),
        learners: confState.learners.map(toMemberId),
        learnersNext: confState.learnersNext.map(toMemberId),
        autoLeave: confState.autoLeave,
      },
    },
    { stored: true },
  );
}
