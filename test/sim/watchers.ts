// Clients that watch: each follows a range from a revision on, loses its stream now and then, or
// with its member, and goes on elsewhere from where it was. Sometimes it is slow to take events.

import { utf8 } from "../../src/base/index.ts";
import type { Revision, Rng } from "../../src/base/index.ts";
import type { WatchNotice, WatchStream, WatchStreamSink } from "../../src/node/index.ts";
import type { SimMember } from "./member.ts";
import { WatchRecord } from "./watch-record.ts";
import type { WatchRange } from "./watch-record.ts";
import type { World } from "./world.ts";

class Session implements WatchStreamSink {
  readonly record: WatchRecord;
  readonly member: SimMember;
  readonly life: number;
  stream: WatchStream | undefined;
  writable = true;
  /** Events it takes before it is full. */
  #room = Number.POSITIVE_INFINITY;
  readonly #onNotice: (session: Session) => void;
  isOver = false;

  constructor(record: WatchRecord, member: SimMember, onNotice: (session: Session) => void) {
    this.record = record;
    this.member = member;
    this.life = member.lives;
    this.#onNotice = onNotice;
  }

  /** The next `room` notices fill it. */
  limit(room: number): void {
    this.#room = room;
    this.writable = room > 0;
  }

  open(): void {
    this.limit(Number.POSITIVE_INFINITY);
    this.stream?.resume();
  }

  notify(notice: WatchNotice): void {
    if (this.isOver || this.member.lives !== this.life || !this.member.isUp) {
      return;
    }
    this.record.take(notice);
    if (notice.kind === "events" && --this.#room <= 0) {
      this.writable = false;
    }
    this.#onNotice(this);
  }
}

export class Watcher {
  readonly #world: World;
  readonly #number: number;
  readonly #rng: Rng;
  readonly #range: WatchRange;
  readonly records: WatchRecord[] = [];
  #session: Session | undefined;
  #isOver = false;
  resumes = 0;

  constructor(world: World, number: number, rng: Rng) {
    this.#world = world;
    this.#number = number;
    this.#rng = rng;
    const { keys } = world.options;
    const from = `k${String(rng.below(keys)).padStart(2, "0")}`;
    const wide = rng.below(4) > 0;
    this.#range = {
      key: wide ? "k" : from,
      rangeEnd: wide ? "\0" : "",
      previous: rng.below(2) === 0,
      noPut: rng.below(6) === 0,
      noDelete: rng.below(6) === 0,
      progressNotify: rng.below(2) === 0,
    };
  }

  begin(): void {
    this.#next(0);
  }

  /** From now on it keeps its stream as long as that lives, and takes everything. */
  settle(): void {
    this.#isOver = true;
    const session = this.#session;
    if (session !== undefined && this.#lives(session)) {
      session.member.process?.run(() => session.open());
    } else {
      this.#open();
    }
  }

  /** The watch that must have got everything by the end; undefined when none is at `healed`. */
  settledAt(healed: readonly SimMember[]): WatchRecord | undefined {
    const session = this.#session;
    return session !== undefined &&
      healed.includes(session.member) &&
      this.#lives(session) &&
      !session.record.isEnded
      ? session.record
      : undefined;
  }

  #lives(session: Session): boolean {
    const { member, life } = session;
    return member.lives === life && member.node !== undefined && !session.isOver;
  }

  #next(afterMs: number): void {
    this.#world.scheduler.after(afterMs, () => {
      if (!this.#isOver) {
        this.#turn();
        this.#next(50 + this.#rng.below(2_000));
      }
    });
  }

  #turn(): void {
    const session = this.#session;
    if (session === undefined || !this.#lives(session) || session.record.isEnded) {
      this.#open();
      return;
    }
    switch (this.#rng.below(8)) {
      case 0:
        this.#close(session);
        return;
      case 1:
        session.limit(this.#rng.below(3));
        return;
      case 2:
      case 3:
        session.member.process?.run(() => session.open());
        return;
      case 4:
        session.member.process?.run(() => session.stream?.requestProgress());
        return;
      default:
        return;
    }
  }

  #close(session: Session): void {
    session.member.process?.run(() => session.stream?.close());
    session.isOver = true;
    this.#session = undefined;
  }

  #open(): void {
    const up = this.#world.members.filter(
      (member) => member.node !== undefined && member.process?.paused === false,
    );
    const member = up[this.#rng.below(Math.max(1, up.length))];
    const { node, process } = member ?? {};
    if (member === undefined || node === undefined || process === undefined) {
      return;
    }
    const before = this.records.at(-1);
    const start = before?.resumeAt ?? (this.#rng.below(3) === 0 ? 0 : 1 + this.#rng.below(20));
    const record = new WatchRecord(this.#range, start, `w${this.#number} at ${member.name}`);
    this.records.push(record);
    const session = new Session(record, member, () => this.#world.note(this.#number));
    this.#session = session;
    this.resumes += before === undefined ? 0 : 1;
    this.#world.trace(`w${this.#number} watches from ${start} at ${member.name}`);
    process.run(() => {
      try {
        session.stream = node.openWatchStream(session);
        session.stream.create({
          key: utf8(this.#range.key),
          rangeEnd: utf8(this.#range.rangeEnd),
          watchId: 0n,
          startRevision: start as Revision | 0,
          previous: this.#range.previous,
          progressNotify: this.#range.progressNotify,
          noPut: this.#range.noPut,
          noDelete: this.#range.noDelete,
          fragment: false,
        });
      } catch {
        session.isOver = true;
      }
    });
  }
}
