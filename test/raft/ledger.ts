// All that a cluster was ever seen to promise, and the checks that it keeps it (Raft figure 3).

import { assert, bytesToHex, fromUtf8, must } from "../../src/base/index.ts";
import type { ConfState, Entry, MemberId } from "../../src/base/index.ts";
import { changeConf } from "../../src/raft/confchange.ts";
import type { Message } from "../../src/raft/index.ts";
import { decodeChange } from "./member.ts";
import type { Member, StateImage } from "./member.ts";
import { renderConf } from "./render.ts";

interface Seen {
  node: Member["node"];
  commit: number;
  term: number;
  role: string;
  state: StateImage;
  writes: number;
}

export class Ledger {
  /** The term applied at each index, by whoever was first; index 1 is the founding. */
  readonly #appliedTerms: number[] = [0, 1];
  /** The commands among them. */
  readonly #commandsTo: (readonly string[])[] = [[], []];
  /** The configurations in the order of their coming into force, and which ruled at each index. */
  readonly #confs: ConfState[];
  readonly #confAt: number[] = [0, 0];
  readonly #leaders = new Map<number, MemberId>();
  readonly #votes = new Map<string, MemberId>();
  /** By index and term: content, and the term before. One of a kind, hence logs match. */
  readonly #entries = new Map<string, string>();
  readonly #seen = new Map<MemberId, Seen>();

  constructor(founding: ConfState) {
    this.#confs = [founding];
  }

  /** The highest index that anybody has applied. */
  get length(): number {
    return this.#appliedTerms.length - 1;
  }

  /** An append is a promise as well: its entries must be those of their index and term. */
  sent(message: Message): void {
    if (message.kind === "appendRequest") {
      let previousTerm: number = message.previousTerm;
      for (const entry of message.entries) {
        this.#matchEntry(entry, previousTerm);
        previousTerm = entry.term;
      }
    }
  }

  /** A new life: the commit index may start lower, terms and votes may not. */
  restarted(member: Member): void {
    this.#seen.delete(member.id);
  }

  /** Checks everything about one member; says what is new. */
  check(
    member: Member,
    members: readonly Member[],
  ): { elections: number; applied: number; confChanges: number } {
    const status = member.node.status();
    const seen = this.#seen.get(member.id);
    const before = seen?.node === member.node ? seen : undefined;
    let elections = 0;
    assert(status.term >= (before?.term ?? 0), "the term fell");
    assert(status.commit >= (before?.commit ?? 0), "the commit index fell");
    assert(status.applied <= status.commit, "applied beyond commit");
    if (status.role === "leader" && (before?.role !== "leader" || before.term !== status.term)) {
      elections = 1;
      this.#elected(member, status.term, status.lastIndex);
    }
    if (before?.writes !== member.disk.writes) {
      this.#checkDisk(member);
    }
    const known = this.length;
    const confs = this.#confs.length;
    if (before?.state !== member.state) {
      this.#checkState(member, before?.state, members);
    }
    this.#seen.set(member.id, {
      node: member.node,
      commit: status.commit,
      term: status.term,
      role: status.role,
      state: member.state,
      writes: member.disk.writes,
    });
    const confChanges = this.#confs.length - confs;
    return { elections, applied: this.length - known, confChanges };
  }

  /** Election safety and leader completeness. */
  #elected(member: Member, term: number, lastIndex: number): void {
    const other = this.#leaders.get(term);
    assert(other === undefined || other === member.id, `two leaders in term ${term}`);
    this.#leaders.set(term, member.id);
    assert(lastIndex >= this.length, "a leader lacks committed entries");
    const { term: durable, vote } = member.disk.hardState;
    assert(durable === term && vote === member.id, "a leader's vote is not on disk");
  }

  #checkDisk(member: Member): void {
    const { hardState, entries, snapshot } = member.disk;
    if (hardState.vote !== 0n) {
      const key = `${member.id} ${hardState.term}`;
      const vote = this.#votes.get(key);
      assert(vote === undefined || vote === hardState.vote, "two votes in one term");
      this.#votes.set(key, hardState.vote);
    }
    let previousTerm: number = snapshot?.term ?? 0;
    for (const entry of entries) {
      this.#matchEntry(entry, previousTerm);
      previousTerm = entry.term;
    }
  }

  /** Log matching: an index and a term name one entry, and one that comes before it. */
  #matchEntry(entry: Entry, previousTerm: number): void {
    const key = `${entry.index}.${entry.term}`;
    const content = `${previousTerm} ${entry.kind} ${bytesToHex(entry.data)}`;
    const known = this.#entries.get(key);
    assert(known === undefined || known === content, () => `${key} is two entries`);
    this.#entries.set(key, content);
  }

  /** State machine safety: everybody applies the same. */
  #checkState(member: Member, before: StateImage | undefined, members: readonly Member[]): void {
    const { state } = member;
    assert(state.index >= (before?.index ?? 0), "the applied index fell");
    for (let index = this.length + 1; index <= state.index; index++) {
      const { base, entries } = member.disk;
      const entry = must(entries[index - base - 1], "applied what is not on disk");
      this.#commit(entry, members);
    }
    if (state.index > 0) {
      const term = must(this.#appliedTerms[state.index]);
      assert(term === state.term, "another entry was applied here");
      const commands = must(this.#commandsTo[state.index]);
      assert(
        commands.length === state.commands.length && commands.at(-1) === state.commands.at(-1),
        "other commands were applied here",
      );
      const conf = this.#confs[must(this.#confAt[state.index])];
      assert(renderConf(state.conf) === renderConf(must(conf)), "another configuration rules here");
    }
  }

  /** The first to apply an entry: a majority must have it on disk. */
  #commit(entry: Entry, members: readonly Member[]): void {
    const has = (id: MemberId): boolean => {
      const disk = members.find((member) => member.id === id)?.disk;
      return (
        disk !== undefined &&
        (disk.base >= entry.index ||
          disk.entries[entry.index - disk.base - 1]?.term === entry.term ||
          disk.state.index >= entry.index)
      );
    };
    const most = (ids: readonly MemberId[]): boolean =>
      ids.length === 0 || ids.filter(has).length * 2 > ids.length;
    // A change rules from when the leader has applied it, so entries right after it may have been
    // committed under the one before.
    const ruling = this.#confs.slice(-2);
    assert(
      ruling.some((one) => most(one.voters) && most(one.votersOutgoing)),
      () => `${entry.index}.${entry.term} is applied and not on a majority's disks`,
    );
    if (entry.kind === "confChange") {
      const change = entry.data.length === 0 ? undefined : decodeChange(entry.data);
      const next = changeConf(must(this.#confs.at(-1)), change);
      if (next !== undefined) {
        this.#confs.push(next);
      }
    }
    this.#confAt.push(this.#confs.length - 1);
    this.#appliedTerms.push(entry.term);
    const commands = must(this.#commandsTo.at(-1));
    this.#commandsTo.push(
      entry.kind === "command" ? [...commands, fromUtf8(entry.data)] : commands,
    );
  }
}
