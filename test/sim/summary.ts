// What a run of many lives adds up to, and whether that was enough to mean something: a harness
// that quietly does nothing must fail.

import { Marks } from "./marks.ts";
import { faultKinds } from "./options.ts";
import type { FaultKind } from "./options.ts";
import type { Played } from "./player.ts";
import type { Report } from "./run.ts";

/** Marks that must be hit in every thousand lives, so often at least. */
const requiredMarks: Readonly<Record<string, number>> = {
  crash: 3000,
  "crash during start": 50,
  "crash at walStart": 30,
  "crash at walDurable": 30,
  "crash at engineStart": 20,
  "crash at engineDurable": 20,
  "crash at segmentStart": 5,
  "crash at segmentDurable": 5,
  "crash at installStart": 60,
  "crash at installDurable": 60,
  "orderly stop": 300,
  "leader moved": 300,
  "leader not moved": 60,
  election: 2000,
  "torn tail cut": 20,
  "engine batches lost": 1000,
  "snapshot installed": 400,
  "install finished at start": 60,
  "member added": 200,
  "member joined": 200,
  "member promoted": 15,
  "member removed": 200,
  "member updated": 15,
  "member change failed": 1000,
  "member refilled": 150,
  "member stopped by its disk": 400,
  "corruption found": 50,
  "start refused": 50,
  "lease expired": 4000,
  "watch resumed": 5000,
  "watch compacted": 1000,
  "event watched": 50_000,
  "frame lost": 1000,
  "frame doubled": 1000,
  "frame overtaken": 1000,
  "put answered": 20_000,
  "put unanswered": 500,
  "deleteRange answered": 5_000,
  "txn answered": 10_000,
  "compaction answered": 500,
  "read answered": 20_000,
  "serializableRead answered": 2_000,
  "keepAlive answered": 2_000,
  "timeToLive answered": 500,
  "leaseGrant answered": 1_000,
  "leaseRevoke answered": 500,
  "register linearizable": 1000,
  "error noLeader": 300,
  "error stopped": 150,
};

/** Registers of a hundred that the second opinion may leave undecided, at most. */
const undecidedPercentMax = 1;

/** Lives of a hundred that may end without a quorum that could go on, at most. */
const stuckPercentMax = 2;

/** Lives in a row that the figures above are for, and from how many on they are looked at. */
const perLives = 1000;
const judgedFromLives = 100;

export class Summary {
  readonly #marks = new Marks();
  readonly #faults = new Map<FaultKind, { lives: number; times: number }>();
  readonly failures: Report[] = [];
  lives = 0;
  simulatedMs = 0;
  events = 0;
  operations = 0;
  answered = 0;
  cpuSeconds = 0;

  add({ report, cpuSeconds }: Played): void {
    this.lives++;
    this.cpuSeconds += cpuSeconds;
    this.simulatedMs += report.simulatedMs;
    this.events += report.events;
    this.operations += report.operations;
    this.answered += report.answered;
    this.#marks.add(report.marks);
    for (const [kind, times] of report.faults) {
      const sum = this.#faults.get(kind) ?? { lives: 0, times: 0 };
      this.#faults.set(kind, { lives: sum.lives + 1, times: sum.times + times });
    }
    if (report.failure !== undefined) {
      this.failures.push(report);
    }
  }

  /** Why the run proves too little; empty when it is fine. */
  shortfalls(wantedLives: number, allFaults: boolean): string[] {
    const missing: string[] = [];
    if (this.lives < wantedLives && this.failures.length === 0) {
      missing.push(`only ${this.lives} of ${wantedLives} lives were played`);
    }
    if (this.operations < 20 * this.lives || this.answered < this.operations / 2) {
      missing.push(`only ${this.answered} of ${this.operations} requests were answered`);
    }
    const undecided = this.#marks.counts.get("register undecided") ?? 0;
    const decided = this.#marks.counts.get("register linearizable") ?? 0;
    if (undecided * 100 > undecidedPercentMax * (undecided + decided)) {
      missing.push(`${undecided} registers were left undecided, ${decided} were decided`);
    }
    const stuck = this.#marks.counts.get("no quorum left") ?? 0;
    if (stuck * 100 > stuckPercentMax * this.lives + 100) {
      missing.push(`${stuck} of ${this.lives} lives ended without a quorum`);
    }
    if (this.lives < judgedFromLives || !allFaults) {
      return missing;
    }
    for (const kind of faultKinds) {
      const lives = this.#faults.get(kind)?.lives ?? 0;
      if (lives < this.lives / 20) {
        missing.push(`fault ${kind} came in only ${lives} of ${this.lives} lives`);
      }
    }
    for (const [name, times] of Object.entries(requiredMarks)) {
      const hit = this.#marks.counts.get(name) ?? 0;
      const wanted = Math.floor((times * this.lives) / perLives);
      if (hit < wanted) {
        missing.push(`mark "${name}" was hit ${hit} times, ${wanted} are wanted`);
      }
    }
    return missing;
  }

  get hours(): number {
    return this.simulatedMs / 3_600_000;
  }

  /** Simulated hours that a minute of CPU is worth. */
  get hoursPerMinute(): number {
    return this.hours / (this.cpuSeconds / 60);
  }

  render(): string {
    const lines = [
      `${this.lives} lives, ${this.failures.length} failed`,
      `${this.hours.toFixed(2)} simulated hours in ${this.cpuSeconds.toFixed(1)} s of CPU: ` +
        `${this.hoursPerMinute.toFixed(2)} h per CPU-minute`,
      `${this.events} events, ${this.operations} requests, ${this.answered} answered`,
      "",
      "fault               lives    times",
    ];
    for (const kind of faultKinds) {
      const { lives, times } = this.#faults.get(kind) ?? { lives: 0, times: 0 };
      lines.push(`${kind.padEnd(16)}${pad(lives)}${pad(times)}`);
    }
    lines.push("", "mark");
    const names = [...this.#marks.counts.keys()].sort();
    for (const name of names) {
      lines.push(`${name.padEnd(34)}${pad(this.#marks.counts.get(name) ?? 0)}`);
    }
    return `${lines.join("\n")}\n`;
  }
}

function pad(value: number): string {
  return String(value).padStart(9);
}
