// Runs a golden script on a cluster of cores. Under each command stands, indented, what followed
// from it; the whole file, rendered anew, must equal the file. Nothing moves by itself: time passes
// by `tick`, messages travel and writes end by `run`, `settle` and `deliver`.
//
//   cluster N [option=VALUE ...]    members 1..N; election timeouts are 3, 4, 5 ... ticks
//   join ID                         starts a member that knows nothing
//   campaign ID | tick ID [COUNT] | advance ID COUNT | transfer ID TO
//   propose ID WORD...              one command a word
//   change ID add-voter M | add-learner M | remove M ...    one entry, all steps
//   read ID NAME...                 asks for a read index under these names
//   run                             until nothing moves, everything shown
//   settle                          until nothing moves; only roles, applying and reads shown
//   beat ID [COUNT]                 one tick and a settle, so many times
//   work ID                         one Ready of one member, everything shown
//   deliver FROM>TO [COUNT]         hands over waiting messages (ID is from anybody)
//   drop FROM>TO | copy FROM>TO     loses or doubles waiting messages; the copies wait last
//   queue                           shows what waits
//   cut A B | C ...                 groups that hear only themselves; heal
//   slow ID | written ID | fast ID  writes of ID stay out; the one out ends; both
//   lazy ID | apply ID [COUNT]      what ID is handed waits; some of it is applied
//   crash ID [torn] | restart ID    torn: the write that is out is lost
//   compact ID KEEP-FROM | unreachable ID TO
//   status [ID] | log ID | disk ID | conf ID | progress ID | state ID

import { assert, must, utf8 } from "../../src/base/index.ts";
import type { LogIndex, MemberId, Rng } from "../../src/base/index.ts";
import { bootstrapState, joinState } from "../../src/raft/index.ts";
import type { ConfChangeStep, Message } from "../../src/raft/index.ts";
import { copyOf, imageOf, Member } from "./member.ts";
import {
  renderConf,
  renderEntries,
  renderEntry,
  renderHardState,
  renderMessage,
  renderPersist,
  renderRole,
} from "./render.ts";

export function runScript(text: string): string {
  const run = new ScriptRun();
  const rendered: string[] = [];
  for (const line of text.trimEnd().split("\n")) {
    if (line.startsWith("  ")) {
      continue;
    }
    rendered.push(line);
    if (line !== "" && !line.startsWith("#")) {
      run.output.length = 0;
      run.command(line);
      rendered.push(...run.output.map((heard) => `  ${heard}`));
    }
  }
  return `${rendered.join("\n")}\n`;
}

const stepKinds = new Map<string, ConfChangeStep["kind"]>([
  ["add-voter", "addVoter"],
  ["add-learner", "addLearner"],
  ["remove", "remove"],
]);

class ScriptRun {
  readonly output: string[] = [];
  readonly #members = new Map<bigint, Member>();
  readonly #roles = new Map<bigint, string>();
  readonly #reads = new Map<number, string>();
  #options: Record<string, number> = {};
  #queue: Message[] = [];
  #groups: bigint[][] = [];
  #quiet = false;
  #starts = 0;

  command(line: string): void {
    const [verb = "", ...words] = line.split(/\s+/);
    const handler = this.#handlers[verb];
    assert(handler !== undefined, `unknown command: ${line}`);
    handler(words);
    this.#noteRoles();
  }

  readonly #handlers: Record<string, (words: string[]) => void> = {
    cluster: (words) => this.#cluster(words),
    join: ([id]) => this.#start(BigInt(must(id)), joinState()),
    campaign: ([id]) => this.#member(id).node.campaign(),
    tick: ([id, count = "1"]) => {
      for (let i = 0; i < Number(count); i++) {
        this.#member(id).node.tick();
      }
    },
    advance: ([id, count]) => this.#member(id).node.advanceElection(Number(count)),
    transfer: ([id, to]) => this.#member(id).node.transferLeadership(memberId(to)),
    propose: ([id, ...texts]) => {
      for (const text of texts) {
        const outcome = this.#member(id).node.propose(utf8(text));
        this.#say(`${text}: ${renderOutcome(outcome)}`);
      }
    },
    change: ([id, ...words]) => this.#change(this.#member(id), words),
    read: ([id, ...names]) => {
      for (const name of names) {
        const context = this.#reads.size + 1;
        this.#reads.set(context, name);
        this.#member(id).node.readIndex(context);
      }
    },
    beat: ([id, count = "1"]) => {
      for (let i = 0; i < Number(count); i++) {
        this.#member(id).node.tick();
        this.#untilQuiet(true);
      }
    },
    run: () => this.#untilQuiet(false),
    settle: () => this.#untilQuiet(true),
    work: ([id]) => this.#work(this.#member(id)),
    deliver: ([link, count]) => this.#deliver(must(link), Number(count ?? Infinity)),
    drop: ([link]) => {
      const lost = this.#queue.filter((message) => isOn(message, must(link)));
      this.#queue = this.#queue.filter((message) => !lost.includes(message));
      for (const message of lost) {
        this.#lose(message);
      }
    },
    copy: ([link]) => {
      const waiting = this.#queue.filter((message) => isOn(message, must(link)));
      this.#queue.push(...waiting.map(copyOf));
    },
    queue: () => {
      for (const message of this.#queue) {
        this.#say(renderMessage(message));
      }
    },
    cut: (words) => {
      const groups = words.join(" ").split("|");
      this.#groups = groups.map((group) => group.trim().split(" ").map(BigInt));
    },
    heal: () => {
      this.#groups = [];
    },
    slow: ([id]) => {
      this.#member(id).isSlow = true;
    },
    written: ([id]) => this.#written(this.#member(id)),
    fast: ([id]) => {
      this.#member(id).isSlow = false;
      if (this.#member(id).writeOut !== undefined) {
        this.#written(this.#member(id));
      }
    },
    lazy: ([id]) => {
      this.#member(id).isLazy = true;
    },
    apply: ([id, count = "Infinity"]) => this.#apply(this.#member(id), Number(count)),
    crash: ([id, torn]) => this.#member(id).crash(torn !== "torn"),
    restart: ([id]) => {
      this.#member(id).restart(this.#rng(memberId(id)));
    },
    compact: ([id, keepFrom]) => this.#member(id).compact(Number(keepFrom) as LogIndex),
    unreachable: ([id, to]) => this.#member(id).node.reportUnreachable(memberId(to)),
    status: ([id]) => this.#status(id),
    log: ([id]) => this.#log(this.#member(id)),
    disk: ([id]) => {
      const { hardState, entries } = this.#member(id).disk;
      this.#say(`${renderHardState(hardState)} ${renderEntries(entries)}`);
    },
    conf: ([id]) => this.#say(renderConf(this.#member(id).node.status().conf)),
    progress: ([id]) => {
      for (const [to, { match, next, state, isLearner }] of this.#member(id).node.status()
        .progress) {
        this.#say(`${to} ${state} match=${match} next=${next}${isLearner ? " learner" : ""}`);
      }
    },
    state: ([id]) => {
      const { index, commands } = this.#member(id).state;
      this.#say(`at ${index}: ${commands.join(" ")}`);
    },
  };

  #cluster(words: string[]): void {
    const [count, ...options] = words;
    this.#members.clear();
    this.#roles.clear();
    this.#queue = [];
    this.#groups = [];
    this.#options = Object.fromEntries(
      options.map((option) => {
        const [name = "", value] = option.split("=");
        return [name, Number(value)];
      }),
    );
    const ids = Array.from({ length: Number(count) }, (_, i) => BigInt(i + 1) as MemberId);
    for (const id of ids) {
      this.#start(id, bootstrapState(ids));
    }
  }

  #start(id: bigint, initial: ReturnType<typeof joinState>): void {
    const options = { electionTicks: 3, ...this.#options };
    const rng = this.#rng(id as MemberId);
    this.#members.set(id, new Member(id as MemberId, rng, initial, options));
    this.#roles.set(id, "");
    this.#noteRoles();
  }

  /** Not random: member 1 is the first to lose patience, then 2, and so on. */
  #rng(id: MemberId): Rng {
    const start = this.#starts++;
    return {
      next: () => start,
      below: (bound) => Number(id - 1n) % bound,
      next64: () => 0n,
    };
  }

  #member(id: string | undefined): Member {
    return must(this.#members.get(BigInt(must(id))), `no member ${id}`);
  }

  #change(member: Member, words: string[]): void {
    const steps: ConfChangeStep[] = [];
    for (let i = 0; i < words.length; i += 2) {
      const kind = must(stepKinds.get(must(words[i])));
      steps.push({ kind, member: memberId(words[i + 1]) });
    }
    this.#say(member.proposeChange({ steps }));
  }

  #untilQuiet(quiet: boolean): void {
    this.#quiet = quiet;
    for (let turns = 0; ; turns++) {
      assert(turns < 1000, "the cluster does not come to rest");
      let moved = false;
      for (const member of this.#members.values()) {
        while (member.hasWork) {
          moved = true;
          this.#work(member);
        }
      }
      const message = this.#queue.shift();
      if (message !== undefined) {
        moved = true;
        this.#hand(message);
      }
      if (!moved) {
        break;
      }
    }
    this.#quiet = false;
  }

  #work(member: Member): void {
    const before = member.state;
    const { ready, sent } = member.work();
    this.#noteRoles();
    if (ready.persist !== undefined) {
      const slow = member.writeOut === undefined ? "" : "(not yet durable) ";
      this.#trace(`${member.id} writes ${slow}${renderPersist(ready.persist)}`);
    }
    for (const message of sent) {
      this.#send(message);
    }
    if (ready.persist?.snapshot !== undefined && member.writeOut === undefined) {
      this.#say(`${member.id} installs the state at ${member.state.index}`);
    }
    if (ready.committed.length > 0 && member.state !== before) {
      this.#say(`${member.id} applies ${renderEntries(ready.committed)}`);
    } else if (ready.committed.length > 0) {
      this.#say(`${member.id} is handed ${renderEntries(ready.committed)}`);
    }
    for (const { context, index } of ready.reads) {
      this.#say(`${member.id} may read ${this.#reads.get(context)} at ${index}`);
    }
    for (const context of ready.readsDropped) {
      this.#say(`${member.id} gives up read ${this.#reads.get(context)}`);
    }
  }

  #written(member: Member): void {
    for (const message of member.finishWrite()) {
      this.#send(message);
    }
  }

  #apply(member: Member, count: number): void {
    member.apply(count);
    this.#say(`${member.id} applied to ${member.state.index}`);
  }

  #send(message: Message): void {
    this.#trace(renderMessage(message));
    this.#queue.push(message);
  }

  #deliver(link: string, count: number): void {
    const chosen = this.#queue.filter((message) => isOn(message, link)).slice(0, count);
    this.#queue = this.#queue.filter((message) => !chosen.includes(message));
    for (const message of chosen) {
      this.#hand(message);
    }
  }

  #hand(message: Message): void {
    const to = this.#members.get(message.to);
    if (to === undefined || to.isDown || !this.#connects(message.from, message.to)) {
      this.#lose(message);
      return;
    }
    to.receive(message, imageOf(message));
    this.#noteRoles();
    if (message.kind === "snapshotRequest") {
      this.#members.get(message.from)?.node.reportSnapshot(message.to, true);
    }
  }

  #lose(message: Message): void {
    this.#trace(`lost: ${renderMessage(message)}`);
    if (message.kind === "snapshotRequest") {
      this.#members.get(message.from)?.node.reportSnapshot(message.to, false);
    }
  }

  #connects(a: bigint, b: bigint): boolean {
    return this.#groups.length === 0 || this.#groups.some((g) => g.includes(a) && g.includes(b));
  }

  #status(id: string | undefined): void {
    for (const member of id === undefined ? this.#members.values() : [this.#member(id)]) {
      const status = member.node.status();
      this.#say(
        member.isDown
          ? `${member.id} is down`
          : `${member.id} ${renderRole(status)} commit=${status.commit} applied=${status.applied} last=${status.lastIndex}`,
      );
    }
  }

  #log(member: Member): void {
    const { base } = member.disk;
    const lines = member.disk.entries.map(renderEntry).join(", ");
    this.#say(`after ${base}: ${lines}`);
  }

  #noteRoles(): void {
    for (const member of this.#members.values()) {
      const role = member.isDown ? "is down" : renderRole(member.node.status());
      if (role !== this.#roles.get(member.id)) {
        const isFirst = this.#roles.get(member.id) === "";
        this.#roles.set(member.id, role);
        if (!isFirst) {
          this.#say(`${member.id} ${role}`);
        }
      }
    }
  }

  #trace(text: string): void {
    if (!this.#quiet) {
      this.#say(text);
    }
  }

  #say(text: string): void {
    this.output.push(text);
  }
}

function memberId(text: string | undefined): MemberId {
  return BigInt(must(text)) as MemberId;
}

/** `link` is FROM>TO or only TO. */
function isOn(message: Message, link: string): boolean {
  const [from = "", to] = link.split(">");
  return to === undefined
    ? message.to === BigInt(from)
    : message.from === BigInt(from) && message.to === BigInt(to);
}

function renderOutcome(outcome: { kind: string; index?: number; reason?: string }): string {
  if (outcome.kind === "refused") {
    return `refused, ${outcome.reason}`;
  }
  return outcome.kind === "appended" ? `at ${outcome.index}` : outcome.kind;
}
