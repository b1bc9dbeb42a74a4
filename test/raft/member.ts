// One member as the tests run it: the core, a disk that keeps what was written, and a state machine
// that is the list of commands applied. Scripts and random clusters drive the same one.

import { assert, fromUtf8, must, noMember, utf8 } from "../../src/base/index.ts";
import type {
  ConfState,
  Entry,
  HardState,
  LogIndex,
  MemberId,
  Rng,
  SnapshotMeta,
  Term,
} from "../../src/base/index.ts";
import { RaftNode } from "../../src/raft/index.ts";
import type {
  ConfChange,
  ConfChangeStep,
  Message,
  Persist,
  RaftConfig,
  RaftInitialState,
  Ready,
  SnapshotRequest,
} from "../../src/raft/index.ts";

/** The applied state: what a snapshot holds. */
export interface StateImage {
  readonly index: LogIndex;
  readonly term: Term;
  readonly conf: ConfState;
  readonly commands: readonly string[];
}

/** What survives a crash. */
export class Disk {
  hardState: HardState;
  snapshot: SnapshotMeta | undefined;
  entries: Entry[];
  /** The state as of its last checkpoint. */
  state: StateImage;
  /** How many writes it has taken. */
  writes = 0;

  constructor(initial: RaftInitialState) {
    this.hardState = initial.hardState;
    this.snapshot = initial.snapshot;
    this.entries = [...initial.entries];
    this.state = {
      index: initial.applied,
      term: initial.snapshot?.term ?? (0 as Term),
      conf: initial.conf,
      commands: [],
    };
  }

  get base(): number {
    return this.snapshot?.index ?? 0;
  }

  write(persist: Persist, image: StateImage | undefined): void {
    this.writes++;
    if (persist.hardState !== undefined) {
      this.hardState = persist.hardState;
    }
    if (persist.snapshot !== undefined) {
      this.snapshot = persist.snapshot;
      this.entries = [];
      this.state = must(image, "a snapshot is written with its state");
    }
    const first = persist.entries[0];
    if (first !== undefined) {
      const keep = first.index - this.base - 1;
      assert(keep >= 0 && keep <= this.entries.length, "a write leaves a gap");
      this.entries.length = keep;
      this.entries.push(...persist.entries);
    }
  }

  /** The newest state on disk replaces the log up to `keepFrom`. */
  compact(keepFrom: LogIndex): void {
    const count = keepFrom - this.base - 1;
    if (count <= 0) {
      return;
    }
    const last = must(this.entries[count - 1]);
    this.entries = this.entries.slice(count);
    this.snapshot = { index: last.index, term: last.term, conf: this.state.conf };
  }

  initial(): RaftInitialState {
    return {
      hardState: this.hardState,
      snapshot: this.snapshot,
      entries: this.entries,
      applied: this.state.index,
      conf: this.state.conf,
    };
  }
}

export interface Work {
  readonly ready: Ready;
  /** Messages that may leave now: what had to wait for a write is in them when it is done. */
  readonly sent: readonly Message[];
}

type Options = Omit<RaftConfig, "self" | "rng" | "initial">;

export class Member {
  readonly id: MemberId;
  readonly disk: Disk;
  node: RaftNode;
  state: StateImage;
  isDown = false;
  /** Writes stay out until `finishWrite`. */
  isSlow = false;
  /** Committed entries wait until `apply`. */
  isLazy = false;
  writeOut: Persist | undefined;
  readonly unapplied: Entry[] = [];
  /** States that came with a snapshot message and are not installed yet, by index. */
  readonly received = new Map<number, StateImage>();
  readonly #options: Options;

  constructor(id: MemberId, rng: Rng, initial: RaftInitialState, options: Options = {}) {
    this.id = id;
    this.#options = options;
    this.disk = new Disk(initial);
    this.state = this.disk.state;
    this.node = this.#start(rng);
  }

  /** Loses everything but the disk. A write that is out is lost, or not, as `writeArrives` says. */
  crash(writeArrives: boolean): void {
    if (this.writeOut !== undefined && writeArrives) {
      this.disk.write(this.writeOut, this.#imageFor(this.writeOut));
    }
    this.writeOut = undefined;
    this.unapplied.length = 0;
    this.received.clear();
    this.isDown = true;
  }

  restart(rng: Rng): void {
    assert(this.isDown, "only a crashed member restarts");
    this.isDown = false;
    this.state = this.disk.state;
    this.node = this.#start(rng);
  }

  get hasWork(): boolean {
    return !this.isDown && this.node.hasReady(this.writeOut === undefined);
  }

  /** Takes one Ready: starts (and, unless slow, ends) the write, applies what is committed. */
  work(): Work {
    const ready = this.node.ready(this.writeOut === undefined);
    const sent = ready.sendNow.map((message) => this.#withState(message));
    if (ready.persist !== undefined) {
      this.writeOut = ready.persist;
      if (!this.isSlow) {
        sent.push(...this.finishWrite());
      }
    }
    this.unapplied.push(...ready.committed);
    if (!this.isLazy) {
      this.apply(this.unapplied.length);
    }
    return { ready, sent };
  }

  /** The write that is out is durable; returns what may leave by that. */
  finishWrite(): readonly Message[] {
    const persist = must(this.writeOut, "no write is out");
    this.writeOut = undefined;
    const image = this.#imageFor(persist);
    this.disk.write(persist, image);
    if (image !== undefined) {
      this.state = image;
    }
    this.node.persisted();
    return persist.thenSend;
  }

  /** Applies up to `count` committed entries. */
  apply(count: number): void {
    for (const entry of this.unapplied.splice(0, count)) {
      assert(entry.index === this.state.index + 1, "applied out of order");
      let { conf, commands } = this.state;
      if (entry.kind === "confChange") {
        const change = entry.data.length === 0 ? undefined : decodeChange(entry.data);
        conf = this.node.applyConfChange(change);
      } else if (entry.kind === "command") {
        commands = [...commands, fromUtf8(entry.data)];
      }
      this.state = { index: entry.index, term: entry.term, conf, commands };
      this.node.appliedTo(entry.index);
    }
  }

  /** Puts the applied state on disk and cuts the log so that it starts at `keepFrom`. */
  compact(keepFrom: LogIndex): void {
    this.disk.state = this.state;
    this.disk.compact(keepFrom);
    this.node.compactTo(keepFrom);
  }

  /** Steps a message in; `image` is the state that came with a snapshot. */
  receive(message: Message, image: StateImage | undefined): void {
    if (message.kind === "snapshotRequest") {
      this.received.set(message.snapshot.index, must(image));
    }
    this.node.step(message);
  }

  proposeChange(change: ConfChange): string {
    const outcome = this.node.proposeConfChange(change, encodeChange(change));
    return outcome.kind === "refused" ? outcome.reason : outcome.kind;
  }

  #start(rng: Rng): RaftNode {
    const initial = this.disk.initial();
    return new RaftNode({ self: this.id, rng, initial, ...this.#options });
  }

  /** A snapshot leaves with the state as it is now, at its true position. */
  #withState(message: Message): Message {
    if (message.kind !== "snapshotRequest") {
      return message;
    }
    const { index, term, conf } = this.state;
    assert(index >= message.snapshot.index, "the state lags behind the snapshot's least position");
    const request: SnapshotRequest = { ...message, snapshot: { index, term, conf } };
    images.set(request, this.state);
    return request;
  }

  #imageFor(persist: Persist): StateImage | undefined {
    return persist.snapshot === undefined
      ? undefined
      : must(this.received.get(persist.snapshot.index), "no state for the snapshot");
  }
}

const images = new WeakMap<Message, StateImage>();

/** The state that travels with a snapshot message. */
export function imageOf(message: Message): StateImage | undefined {
  return images.get(message);
}

/** The same message once more, as another object. */
export function copyOf(message: Message): Message {
  const copy = { ...message };
  const image = images.get(message);
  if (image !== undefined) {
    images.set(copy, image);
  }
  return copy;
}

export function encodeChange(change: ConfChange): Uint8Array {
  return utf8(change.steps.map((step) => `${step.kind} ${step.member}`).join(","));
}

export function decodeChange(data: Uint8Array): ConfChange {
  const steps = fromUtf8(data)
    .split(",")
    .map((text): ConfChangeStep => {
      const [kind, member] = text.split(" ");
      return {
        kind: kind as ConfChangeStep["kind"],
        member: BigInt(member ?? noMember) as MemberId,
      };
    });
  return { steps };
}
