// The follower: stores what the leader sends, and waits for its silence. Learners and members
// outside the configuration are followers that never stand for election.

import { noMember } from "../base/index.ts";
import type { LogIndex, MemberId, Term } from "../base/index.ts";
import { membersOf } from "./confchange.ts";
import type { CoreState, Transitions } from "./core-state.ts";
import type {
  AppendRequest,
  HeartbeatRequest,
  Message,
  ReadIndexResponse,
  SnapshotRequest,
} from "./message.ts";

export class FollowerRole {
  readonly kind = "follower";
  readonly #core: CoreState;
  readonly #transitions: Transitions;

  constructor(core: CoreState, transitions: Transitions) {
    this.#core = core;
    this.#transitions = transitions;
  }

  tick(): void {
    const core = this.#core;
    core.electionElapsed++;
    if (core.electionElapsed < core.electionTimeout) {
      return;
    }
    if (core.isPromotable) {
      this.#transitions.campaign(false);
    } else {
      core.setLeader(noMember);
    }
  }

  step(message: Message): void {
    switch (message.kind) {
      case "appendRequest":
        if (this.#hear(message.from)) {
          this.#onAppend(message);
        }
        return;
      case "heartbeatRequest":
        if (this.#hear(message.from)) {
          this.#onHeartbeat(message);
        }
        return;
      case "snapshotRequest":
        if (this.#hear(message.from)) {
          this.#onSnapshot(message);
        }
        return;
      case "timeoutNow":
        if (message.from === this.#core.leader) {
          this.#transitions.campaign(true);
        } else {
          this.#core.counters.messagesIgnored++;
        }
        return;
      case "readIndexResponse":
        this.#onReadIndexResponse(message);
        return;
      default:
        this.#core.counters.messagesIgnored++;
    }
  }

  /** Everything handed out is applied: a snapshot that waited for it goes in. */
  installHeldSnapshot(): void {
    const held = this.#core.heldSnapshot;
    if (held !== undefined) {
      this.#core.heldSnapshot = undefined;
      this.#install(held);
    }
  }

  /** Notes the leader of this term; false when it is another than the one known. */
  #hear(from: MemberId): boolean {
    const core = this.#core;
    if (core.leader !== noMember && core.leader !== from) {
      core.counters.messagesInvalid++;
      return false;
    }
    core.setLeader(from);
    core.electionElapsed = 0;
    return true;
  }

  #onAppend(message: AppendRequest): void {
    const core = this.#core;
    const { log } = core;
    const { previousIndex, previousTerm, entries } = message;
    if (previousIndex < log.commit) {
      // Late or doubled: what is committed here is the leader's as well, and needs no look.
      core.persistence.acknowledge(core, message.from, log.commit);
      return;
    }
    if (log.termAt(previousIndex) !== previousTerm) {
      this.#reject(message);
      return;
    }
    log.store(entries);
    // Only up to the last entry of this message are the logs known to agree.
    const last = (previousIndex + entries.length) as LogIndex;
    log.commitTo(Math.min(message.commit, last) as LogIndex);
    core.persistence.acknowledge(core, message.from, last);
  }

  #reject(message: AppendRequest): void {
    const core = this.#core;
    const { log } = core;
    const end = Math.min(message.previousIndex, log.lastIndex);
    const hintIndex = log.lastIndexAtTerm(end, message.previousTerm);
    core.sendNow.push({
      kind: "appendResponse",
      from: core.self,
      to: message.from,
      term: core.term,
      index: message.previousIndex,
      rejected: true,
      hintIndex,
      hintTerm: log.termAt(hintIndex) ?? (0 as Term),
    });
  }

  #onHeartbeat(message: HeartbeatRequest): void {
    const core = this.#core;
    if (message.commit > core.log.lastIndex) {
      // The leader counted an acknowledgement of entries that are not here: this disk lost data.
      core.counters.messagesInvalid++;
      return;
    }
    core.log.commitTo(message.commit);
    core.sendNow.push({
      kind: "heartbeatResponse",
      from: core.self,
      to: message.from,
      term: core.term,
      readRound: message.readRound,
    });
  }

  #onSnapshot(message: SnapshotRequest): void {
    const core = this.#core;
    if (core.log.applied === core.log.handedOut) {
      this.#install(message);
      return;
    }
    // Entries are being applied; replacing the state under them would mix two histories. Of two
    // that wait the later to come is kept, as its data is on the caller's side.
    core.heldSnapshot = message;
  }

  #install(message: SnapshotRequest): void {
    const core = this.#core;
    const { log } = core;
    const { snapshot } = message;
    if (snapshot.index <= log.commit) {
      core.persistence.acknowledge(core, message.from, log.commit);
      return;
    }
    if (log.termAt(snapshot.index) === snapshot.term) {
      // The log holds all of it: knowing that it is committed is enough.
      log.commitTo(snapshot.index);
      core.persistence.acknowledge(core, message.from, snapshot.index);
      return;
    }
    if (!membersOf(snapshot.conf).includes(core.self)) {
      core.counters.messagesIgnored++;
      return;
    }
    log.restore(snapshot);
    core.conf = snapshot.conf;
    core.confIndex = snapshot.index;
    core.persistence.acknowledge(core, message.from, snapshot.index);
  }

  #onReadIndexResponse(message: ReadIndexResponse): void {
    const core = this.#core;
    const contexts =
      message.from === core.leader ? core.forwards.reads.answered(message.context) : undefined;
    if (contexts === undefined) {
      core.counters.messagesIgnored++;
      return;
    }
    for (const context of contexts) {
      core.reads.push({ context, index: message.index });
    }
  }
}
