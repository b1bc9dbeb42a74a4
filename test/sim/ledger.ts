// All that the cluster was ever seen to promise, and the checks that it keeps it, after every
// event: Raft's figure 3, durability before speech, and the state at every index against a model.
//
// The ledger's spine is the log as it was applied: the first member to apply an index writes it
// down, everybody else must apply the same. The model applies it too, so the revision, and every
// answer, is known for each index.

import { crc32 } from "node:zlib";
import type { ConfState, Entry, HardState, MemberId } from "../../src/base/index.ts";
import type { Membership } from "../../src/membership/index.ts";
import { decodeConfChange, toRaftChange } from "../../src/node/conf-change.ts";
import { decodeMessage, raftFrameType } from "../../src/node/peer-codec.ts";
import { changeConf } from "../../src/raft/confchange.ts";
import type { Message } from "../../src/raft/index.ts";
import { ConfChangeStepKind, decodeCommand } from "../../src/wire/index.ts";
import type { CommandBodyKind } from "../../src/wire/index.ts";
import type { SimMember } from "./member.ts";
import { Candidacies } from "./candidacies.ts";
import { Model } from "./model.ts";
import { operationOf } from "./operation-id.ts";
import { demand } from "./violation.ts";

/** One position of the log, as it was applied. */
export interface Applied {
  readonly index: number;
  readonly term: number;
  readonly sum: number;
  readonly kind: CommandBodyKind | "noop" | "confChange";
  /** The client's operation, 0 for a command of a member's own. */
  readonly operation: number;
  /** The right answer. */
  readonly answer: string;
  /** Term of the member that applied it first: it was committed in that term or before. */
  readonly committedTerm: number;
  /** Of the state after it. */
  readonly revision: number;
  readonly compacted: number;
  readonly body: Uint8Array | undefined;
  /** When the first member had applied it, simulated milliseconds. */
  readonly atMs: number;
}

interface Seen {
  life: number;
  applied: number;
  commit: number;
  term: number;
  wasLeader: boolean;
}

export class Ledger {
  readonly #members: () => readonly SimMember[];
  readonly #nowMs: () => number;
  readonly #applied: Applied[] = [];
  readonly #leaders = new Map<number, MemberId>();
  /** By member and term. */
  readonly #votes = new Map<string, MemberId>();
  /** By index and term: content, and the term before. */
  readonly #entries = new Map<string, string>();
  readonly #seen = new Map<MemberId, Seen>();
  readonly #operations = new Map<number, Applied>();
  readonly model = new Model();
  /** Hears of each index when it is first applied. */
  onApplied: (applied: Applied) => void = () => {};
  /** Hears of each leader when it first speaks as one. */
  onLeader: (leader: SimMember) => void = () => {};
  elections = 0;

  /** The member list as the log has made it. */
  readonly membership: Membership;
  /** Configurations in the order of their coming into force. */
  readonly #confs: ConfState[];
  readonly #candidacies: Candidacies;

  constructor(members: () => readonly SimMember[], nowMs: () => number, founding: Membership) {
    this.#members = members;
    this.#nowMs = nowMs;
    this.membership = founding;
    this.#confs = [founding.confState];
    this.#candidacies = new Candidacies(this.#confs);
    // Founders begin with index 1 applied.
    for (let index = 0; index <= 1; index++) {
      this.#applied.push({
        index,
        term: index,
        sum: 0,
        kind: "noop",
        operation: 0,
        answer: "",
        committedTerm: index,
        revision: 1,
        compacted: 0,
        body: undefined,
        atMs: 0,
      });
    }
  }

  get length(): number {
    return this.#applied.length - 1;
  }

  at(index: number): Applied | undefined {
    return this.#applied[index];
  }

  /** Where a client's operation was applied; undefined if it was not. */
  outcome(operation: number): Applied | undefined {
    return this.#operations.get(operation);
  }

  /** Whether they are a quorum of any configuration that was ever in force. */
  isQuorum(has: (id: MemberId) => boolean): boolean {
    const most = (ids: readonly MemberId[]): boolean =>
      ids.length === 0 || ids.filter(has).length * 2 > ids.length;
    return this.#confs.some((conf) => most(conf.voters) && most(conf.votersOutgoing));
  }

  get all(): readonly Applied[] {
    return this.#applied;
  }

  /** What a frame says must be true on the sender's disk. Returns what kind of message it is. */
  sent(sender: SimMember, type: number, bytes: Uint8Array): string {
    if (type !== raftFrameType) {
      return "";
    }
    const message = decodeMessage(bytes);
    this.#checkMessage(sender, message);
    return message.kind;
  }

  #checkMessage(sender: SimMember, message: Message): void {
    const { hardState } = sender.disk.durable;
    this.#candidacies.sent(message);
    switch (message.kind) {
      case "voteResponse":
        if (message.granted && !message.preVote) {
          demand(
            hardState?.term === message.term && hardState.vote === message.to,
            () => `${sender.name} gave a vote in term ${message.term} that is not on its disk`,
          );
          this.#noteVote(sender.id, message.term, message.to);
        }
        return;
      case "appendResponse":
        if (!message.rejected) {
          demand(
            (hardState?.term ?? 0) >= message.term,
            () => `${sender.name} acknowledged in term ${message.term} which is not on its disk`,
          );
          demand(
            sender.disk.durable.lastIndex >= message.index,
            () => `${sender.name} acknowledged ${message.index} which is not on its disk`,
          );
        }
        return;
      case "appendRequest":
      case "heartbeatRequest":
        this.#noteLeader(sender, message.term);
        return;
      default:
        return;
    }
  }

  #noteVote(voter: MemberId, term: number, candidate: MemberId): void {
    const name = `${voter} ${term}`;
    const known = this.#votes.get(name);
    demand(
      known === undefined || known === candidate,
      () => `two votes of ${voter} in term ${term}`,
    );
    this.#votes.set(name, candidate);
  }

  /** Election safety, leader completeness, and a durable vote for oneself. */
  #noteLeader(leader: SimMember, term: number): void {
    const ruler = this.#leaders.get(term);
    if (ruler === leader.id) {
      return;
    }
    demand(ruler === undefined, () => `two leaders in term ${term}`);
    this.#leaders.set(term, leader.id);
    this.elections++;
    this.onLeader(leader);
    const log = leader.disk.durable;
    demand(
      log.hardState?.term === term && log.hardState.vote === leader.id,
      () => `${leader.name} leads term ${term} without its own vote on disk`,
    );
    this.#noteVote(leader.id, term, leader.id);
    // A candidate of the past may still win its term; what later ones committed it need not have.
    const known = this.#applied.findLastIndex((each) => each.committedTerm < term);
    const last = Math.max(known, 0);
    demand(
      log.lastIndex >= last && (log.base >= last || log.termAt(last) === this.at(last)?.term),
      () => `${leader.name} leads term ${term} and lacks entry ${last}, which was applied`,
    );
  }

  /**
   * What a member's disk has just taken, and term and vote there before. Terms do not fall, a vote
   * is not changed within its term; log matching; when memberships may change.
   */
  wrote(member: SimMember, entries: readonly Entry[], before: HardState | undefined): void {
    const log = member.disk.durable;
    const after = log.hardState;
    if (before !== undefined && after !== undefined) {
      demand(after.term >= before.term, () => `the term on the disk of ${member.name} fell`);
      demand(
        after.term > before.term || before.vote === 0n || after.vote === before.vote,
        () => `the vote on the disk of ${member.name} changed within term ${after.term}`,
      );
    }
    for (const entry of entries) {
      if (entry.kind === "confChange") {
        this.#checkChange(member, entry);
      }
      const before = log.termAt(entry.index - 1);
      if (before === undefined) {
        continue;
      }
      const name = `${entry.index}.${entry.term}`;
      const content = `${before} ${entry.kind} ${crc32(entry.data)}`;
      const known = this.#entries.get(name);
      demand(known === undefined || known === content, () => `${name} is two entries`);
      this.#entries.set(name, content);
    }
  }

  /**
   * One change of the members at a time, and none before an entry of the leader's own term is
   * committed and every change before it is applied (the bug of 2015 in single-server changes).
   */
  #checkChange(leader: SimMember, change: Entry): void {
    const status = leader.status();
    if (status?.isLeader !== true || status.term !== change.term) {
      return;
    }
    const { applied } = status;
    demand(
      this.at(applied)?.term === change.term,
      () => `${leader.name} changes members at ${change.index} before its term has an entry`,
    );
    for (let index = applied + 1; index < change.index; index++) {
      const between = leader.disk.durable.entry(index);
      demand(
        between?.kind !== "confChange",
        () => `${leader.name} changes members at ${change.index} while ${index} is pending`,
      );
    }
  }

  /** Everything about one member, after an event in its process. */
  check(member: SimMember): void {
    const status = member.status();
    if (status === undefined) {
      return;
    }
    let seen = this.#seen.get(member.id);
    if (seen?.life !== member.lives) {
      seen = { life: member.lives, applied: 0, commit: 0, term: 0, wasLeader: false };
      this.#seen.set(member.id, seen);
      this.#checkRestart(member, status.applied);
      seen.applied = status.applied;
    }
    const { applied, commit, term } = status;
    demand(term >= seen.term, () => `the term of ${member.name} fell`);
    demand(commit >= seen.commit, () => `the commit index of ${member.name} fell`);
    demand(applied >= seen.applied, () => `the applied index of ${member.name} fell`);
    demand(applied <= commit, () => `${member.name} applied ${applied}, beyond commit ${commit}`);
    if (status.isLeader && (!seen.wasLeader || term !== seen.term)) {
      this.#noteLeader(member, term);
    }
    if (status.isLeader && seen.wasLeader && term === seen.term && commit > seen.commit) {
      const entryTerm = member.disk.durable.termAt(commit);
      demand(
        entryTerm === undefined || entryTerm === term,
        () => `${member.name} commits ${commit} of term ${entryTerm} by counting in term ${term}`,
      );
    }
    if (applied > seen.applied) {
      this.#follow(member, seen.applied, applied);
    }
    const here = this.at(applied);
    const right = here?.revision ?? 0;
    demand(
      (status.revision === right || (status.revision > right && isInExpiry(member, applied))) &&
        here?.compacted === status.compactedRevision,
      () =>
        `${member.name} at index ${applied} (${here?.kind}) has revision ${status.revision}, ` +
        `compacted ${status.compactedRevision}; right is ${right}, ${here?.compacted}`,
    );
    seen.applied = applied;
    seen.commit = commit;
    seen.term = term;
    seen.wasLeader = status.isLeader;
  }

  #checkRestart(member: SimMember, applied: number): void {
    demand(
      applied <= this.length,
      () => `${member.name} starts with index ${applied} applied, which nobody had applied`,
    );
  }

  #follow(member: SimMember, from: number, to: number): void {
    const log = member.disk.durable;
    const received = Math.max(log.snapshot?.index ?? 0, member.disk.installedIndex);
    demand(
      Math.min(received, to) <= this.length,
      () => `${member.name} got the state at ${received}, which nobody had applied`,
    );
    // A state that was put in place stands for its entries, whatever the log still holds.
    for (let index = Math.max(from, received) + 1; index <= to; index++) {
      const entry = log.entry(index);
      demand(entry !== undefined, () => `${member.name} applied ${index}, not on its disk`);
      const known = this.at(index);
      if (known === undefined) {
        this.#commit(entry, member.status()?.term ?? entry.term);
      } else {
        demand(
          known.term === entry.term && known.sum === crc32(entry.data),
          () => `${member.name} applied another entry at ${index} (term ${entry.term})`,
        );
      }
    }
  }

  /** The first to apply an entry: a majority must have it on disk. */
  #commit(entry: Entry, term: number): void {
    demand(entry.index === this.length + 1, () => `entry ${entry.index} was applied too early`);
    const holders = new Set<MemberId>();
    for (const { id, disk } of this.#members()) {
      const { durable, installedIndex } = disk;
      if (
        Math.max(durable.snapshot?.index ?? 0, installedIndex) >= entry.index ||
        durable.termAt(entry.index) === entry.term
      ) {
        holders.add(id);
      }
    }
    const most = (ids: readonly MemberId[]): boolean =>
      ids.length === 0 || ids.filter((id) => holders.has(id)).length * 2 > ids.length;
    // A change rules from when the leader has applied it, so entries right after it may have been
    // committed under the one before.
    demand(
      this.#confs.slice(-2).some((conf) => most(conf.voters) && most(conf.votersOutgoing)),
      () => `${entry.index}.${entry.term} is applied and not on a majority's disks`,
    );
    const applied = this.#execute(entry, term);
    this.#applied.push(applied);
    if (applied.operation !== 0) {
      demand(
        !this.#operations.has(applied.operation),
        () => `operation ${applied.operation} was applied twice`,
      );
      this.#operations.set(applied.operation, applied);
    }
    this.onApplied(applied);
  }

  #reconfigure(entry: Entry): void {
    const change = decodeConfChange(entry.data);
    const bounds = { learnersMax: Number.POSITIVE_INFINITY };
    if (change !== undefined && this.membership.check(change, bounds) !== undefined) {
      return;
    }
    for (const { kind, memberId } of change?.steps ?? []) {
      if (kind === ConfChangeStepKind.ADD_VOTER) {
        this.#checkPromotion(memberId, entry.index);
      }
    }
    const before = this.membership.confState;
    const conf = changeConf(before, change && toRaftChange(change)) ?? before;
    this.membership.applyConfChange(change, conf);
    for (const { id, isLearner } of this.membership.members()) {
      const votes = conf.voters.includes(id);
      demand(votes !== isLearner, () => `${id} is listed as a voter and is none, or the reverse`);
    }
    this.#confs.push(conf);
  }

  /** Nobody becomes a voter who has little of the log: nine tenths when asked for, or more. */
  #checkPromotion(id: bigint, index: number): void {
    const learner = this.membership.members().find((one) => one.id === id && one.isLearner);
    const machine = this.#members().find((member) => member.id === id);
    const { disk } = machine ?? {};
    const has = Math.max(disk?.durable.lastIndex ?? 0, disk?.installedIndex ?? 0);
    demand(
      learner === undefined || has * 2 >= index,
      () => `${machine?.name ?? id} is made a voter at ${index} and has the log up to ${has} only`,
    );
  }

  #execute(entry: Entry, committedTerm: number): Applied {
    let kind: Applied["kind"] = "noop";
    let answer = "";
    let operation = 0;
    let body: Uint8Array | undefined;
    if (entry.kind === "command") {
      const command = decodeCommand(entry.data);
      ({ kind, body } = command);
      operation = operationOf(command.body);
      answer = this.model.apply(command.kind, command.body, entry.term);
    } else {
      ({ kind } = entry);
      if (entry.kind === "confChange") {
        this.#reconfigure(entry);
      }
    }
    return {
      index: entry.index,
      term: entry.term,
      sum: crc32(entry.data),
      kind,
      operation,
      answer,
      committedTerm,
      revision: this.model.revision,
      compacted: this.model.compacted,
      body,
      atMs: this.#nowMs(),
    };
  }
}

/** The next entry ends leases, each in a revision of its own, and may wait for records between. */
function isInExpiry({ disk }: SimMember, applied: number): boolean {
  const next = disk.durable.entry(applied + 1);
  return next?.kind === "command" && decodeCommand(next.data).kind === "leaseExpiry";
}
