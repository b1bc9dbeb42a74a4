// A second opinion on linearizability, which knows nothing of logs or revisions: the search of Wing
// and Gong for one key as a register, in the just-in-time form of Lowe ("Testing for
// linearizability", 2017): time is walked once, and a set of configurations (which of the calls
// under way have taken effect, and the value) is kept that explain everything returned so far.
//
// Calls whose outcome is unknown may have taken effect at any later time, or never; in a life with
// many of them they would make the set explode. They do not, as they are placed only where they
// are seen. Leaving a write out of an order changes nothing when no read follows it before the next
// write, so:
// - an unanswered put matters only just before the first read of its value, which no other write
//   has, and has surely happened once such a read has returned;
// - an unanswered deletion matters only just before a read that finds nothing where there was
//   something; all that have been called are alike, so they are counted, and of two configurations
//   that differ only in the count the one that used up fewer can do all that the other can;
// - a read of the value that is there takes effect at once: later it could be no better off.
// What is left to choose is the order of the answered writes under way, of which every client has
// one at most.

export interface RegisterCall {
  /** What it writes, "" for a deletion and otherwise unique; undefined for a read. */
  readonly write: string | undefined;
  /** What a read showed, "" when the key was not there. */
  readonly read: string | undefined;
  readonly callMs: number;
  /** Infinity when the outcome is unknown. */
  readonly returnMs: number;
}

export type Verdict = "linearizable" | "not linearizable" | "undecided";

/** Configurations at one return after which the search is given up; some hundred MiB. */
const configurationsMax = 500_000;

interface Configuration {
  /** Bit s is set when the call in slot s has taken effect. */
  readonly done: bigint;
  readonly value: string;
  /** Unanswered deletions used up. */
  readonly deletions: number;
}

/** The ones worth keeping: of equal ones the one with the fewest deletions used up. */
class Frontier {
  readonly byKey = new Map<string, Configuration>();

  /** Returns whether it was worth adding. */
  add(configuration: Configuration): boolean {
    const key = `${configuration.done} ${configuration.value}`;
    const present = this.byKey.get(key);
    if (present !== undefined && present.deletions <= configuration.deletions) {
      return false;
    }
    this.byKey.set(key, configuration);
    return true;
  }
}

class Search {
  /** Call number by slot, of the calls under way; undefined in free slots. */
  readonly #slots: (number | undefined)[] = [];
  readonly #slotOf = new Map<number, number>();
  /** Unanswered puts whose value a read shows, by value. */
  readonly #shown = new Map<string, number>();
  readonly #calls: readonly RegisterCall[];
  #frontier: Configuration[] = [{ done: 0n, value: "", deletions: 0 }];
  #deletionsCalled = 0;

  constructor(calls: readonly RegisterCall[]) {
    this.#calls = calls;
    const read = new Set(calls.map((call) => call.read));
    calls.forEach(({ write, returnMs }, number) => {
      if (write !== undefined && write !== "" && returnMs === Infinity && read.has(write)) {
        this.#shown.set(write, number);
      }
    });
  }

  run(): Verdict {
    for (const { isReturn, number } of eventsOf(this.#calls)) {
      if (!isReturn) {
        this.#begin(number);
        continue;
      }
      const next = this.#return(number);
      if (next === undefined) {
        return "undecided";
      }
      if (next.length === 0) {
        return "not linearizable";
      }
      this.#frontier = next;
    }
    return "linearizable";
  }

  #begin(number: number): void {
    const { write, returnMs } = this.#calls[number] as RegisterCall;
    if (returnMs === Infinity && write === "") {
      this.#deletionsCalled++;
    } else if (returnMs !== Infinity || this.#shown.get(write ?? "") === number) {
      const free = this.#slots.indexOf(undefined);
      const slot = free === -1 ? this.#slots.length : free;
      this.#slots[slot] = number;
      this.#slotOf.set(number, slot);
    }
  }

  /** The configurations in which the call has taken effect; undefined when they are too many. */
  #return(number: number): Configuration[] | undefined {
    const bit = this.#bitOf(number);
    const seen = new Frontier();
    const reached = new Frontier();
    const stack = [...this.#frontier];
    while (stack.length > 0) {
      const here = this.#withReads(stack.pop() as Configuration);
      if ((here.done & bit) !== 0n) {
        reached.add(here);
      } else {
        for (const next of this.#steps(here)) {
          if (seen.add(next)) {
            stack.push(next);
          }
        }
      }
      if (seen.byKey.size + reached.byKey.size > configurationsMax) {
        return undefined;
      }
    }
    return this.#settled(number, [...reached.byKey.values()]);
  }

  #bitOf(number: number): bigint {
    return 1n << BigInt(this.#slotOf.get(number) as number);
  }

  /** With the reads under way that show the value there is. */
  #withReads(configuration: Configuration): Configuration {
    let { done } = configuration;
    this.#slots.forEach((number, slot) => {
      if (number !== undefined && this.#calls[number]?.read === configuration.value) {
        done |= 1n << BigInt(slot);
      }
    });
    return { ...configuration, done };
  }

  /** What may take effect next: an answered write, or an unanswered one that a read shows. */
  #steps({ done, value, deletions }: Configuration): Configuration[] {
    const steps: Configuration[] = [];
    this.#slots.forEach((number, slot) => {
      const bit = 1n << BigInt(slot);
      if (number === undefined || (done & bit) !== 0n) {
        return;
      }
      const { write, read, returnMs } = this.#calls[number] as RegisterCall;
      if (write !== undefined) {
        if (returnMs !== Infinity) {
          steps.push({ done: done | bit, value: write, deletions });
        }
      } else if (read === "") {
        if (value !== "" && deletions < this.#deletionsCalled) {
          steps.push({ done: done | bit, value: "", deletions: deletions + 1 });
        }
      } else {
        const writer = this.#slotOf.get(this.#shown.get(read as string) ?? -1);
        const writerBit = writer === undefined ? 0n : 1n << BigInt(writer);
        if (writerBit !== 0n && (done & writerBit) === 0n) {
          steps.push({ done: done | bit | writerBit, value: read as string, deletions });
        }
      }
    });
    return steps;
  }

  /** Frees the slot of a call that has returned, and that of an unanswered put it shows. */
  #settled(number: number, reached: readonly Configuration[]): Configuration[] {
    const shown = this.#shown.get(this.#calls[number]?.read ?? "");
    let kept = ~0n;
    for (const over of [number, shown]) {
      const slot = over === undefined ? undefined : this.#slotOf.get(over);
      if (over !== undefined && slot !== undefined) {
        kept &= ~(1n << BigInt(slot));
        this.#slots[slot] = undefined;
        this.#slotOf.delete(over);
      }
    }
    const frontier = new Frontier();
    for (const configuration of reached) {
      frontier.add({ ...configuration, done: configuration.done & kept });
    }
    return [...frontier.byKey.values()];
  }
}

interface CallEvent {
  readonly atMs: number;
  readonly isReturn: boolean;
  readonly number: number;
}

function eventsOf(calls: readonly RegisterCall[]): CallEvent[] {
  const events = calls.flatMap(({ callMs, returnMs }, number): CallEvent[] => [
    { atMs: callMs, isReturn: false, number },
    ...(returnMs === Infinity ? [] : [{ atMs: returnMs, isReturn: true, number }]),
  ]);
  // At one instant calls come first: what overlaps only there counts as concurrent.
  return events.sort((a, b) => a.atMs - b.atMs || Number(a.isReturn) - Number(b.isReturn));
}

/** Whether some order of the calls, true to real time, explains every read. */
export function checkRegister(calls: readonly RegisterCall[]): Verdict {
  return new Search(calls).run();
}
