// The checks check: what a life has recorded passes, and every small lie in it is found.

import { beforeAll, describe, expect, it } from "vitest";
import { SeededRng } from "../../src/base/index.ts";
import { checkHistory } from "./history-check.ts";
import { History } from "./history.ts";
import type { Operation } from "./history.ts";
import { chooseOptions } from "./options.ts";
import { checkRegister } from "./register-check.ts";
import type { RegisterCall } from "./register-check.ts";
import { Life } from "./run.ts";
import { Violation } from "./violation.ts";

const life = new Life(
  chooseOptions(5, { faults: ["crash", "loss"], members: 3, faultSecs: 20, thinkMs: 50 }),
);

function withOne(lie: Operation): History {
  const history = new History();
  for (const operation of life.history.operations) {
    history.operations.push(operation.id === lie.id ? lie : operation);
  }
  return history;
}

function answered(kinds: readonly string[]): Operation[] {
  return life.history.operations.filter(
    ({ kind, answer }) => kinds.includes(kind) && answer !== undefined,
  );
}

beforeAll(async () => {
  expect((await life.play()).failure).toBeUndefined();
});

describe("the check by revisions", () => {
  it("accepts what was recorded", () => {
    expect(answered(["put"]).length).toBeGreaterThan(100);
    checkHistory(life.history, life.ledger);
  });

  it("finds every changed answer to a write", () => {
    for (const operation of answered(["put", "txn", "deleteRange", "leaseGrant"]).slice(0, 300)) {
      const lie = { ...operation, answer: `${operation.answer}1` };
      expect(() => checkHistory(withOne(lie), life.ledger)).toThrow(Violation);
    }
  });

  it("finds every read of another revision's pairs", () => {
    const reads = answered(["read"]).filter(({ answer }) => answer?.includes("@") === true);
    for (const operation of reads.slice(0, 300)) {
      const answer = operation.answer?.replace(/@(\d+)/, (_, n: string) => `@${Number(n) + 1}`);
      const lie = { ...operation, answer };
      expect(() => checkHistory(withOne(lie), life.ledger)).toThrow(Violation);
    }
  });

  it("finds an acknowledged write that is not in the log", () => {
    for (const operation of answered(["put"]).slice(0, 100)) {
      const lie = { ...operation, id: 1_000_000 + operation.id };
      const history = new History();
      history.operations.push(lie);
      expect(() => checkHistory(history, life.ledger)).toThrow(Violation);
    }
  });

  it("finds writes in an order that real time forbids", () => {
    for (const operation of answered(["put"]).slice(0, 100)) {
      const lie = { ...operation, callMs: operation.callMs + 100_000 };
      expect(() => checkHistory(withOne(lie), life.ledger)).toThrow(Violation);
    }
  });
});

describe("the check of watches", () => {
  it("accepts what was recorded, and finds a skipped revision", () => {
    const { model } = life.ledger;
    const records = life.watchRecords.filter((record) => record.eventCount > 0);
    expect(records.length).toBeGreaterThan(0);
    for (const record of records) {
      record.check(model);
    }
    const events = model.events.findLast((each) => each.length > 0);
    events?.reverse().pop();
    model.events.splice(2, 1);
    expect(() => records.forEach((record) => record.check(model))).toThrow(Violation);
  });
});

describe("the check of registers", () => {
  const random = (rng: SeededRng, calls: number): RegisterCall[] => {
    // A register that is linearizable by construction: each call takes effect within its time.
    let value = "";
    return Array.from({ length: calls }, (_, i) => {
      const atMs = i * 10;
      const write = rng.below(2) === 0 ? `v${i}` : undefined;
      const read = write === undefined ? value : undefined;
      value = write ?? value;
      const returnMs = rng.below(12) === 0 && write !== undefined ? Infinity : atMs + rng.below(60);
      return { write, read, callMs: atMs - rng.below(60), returnMs };
    });
  };

  it("accepts 300 histories that are linearizable", () => {
    for (let seed = 1; seed <= 300; seed++) {
      expect(checkRegister(random(new SeededRng(seed), 60)), `seed ${seed}`).toBe("linearizable");
    }
  });

  it("rejects 1,000 histories with one read of a value that was overwritten long before", () => {
    let rejected = 0;
    for (let seed = 1; rejected < 1000; seed++) {
      const rng = new SeededRng(seed);
      const calls = random(rng, 60);
      const firstWrite = calls.find(({ write, returnMs }) => write && returnMs !== Infinity);
      const later = calls.find(
        ({ write, callMs, returnMs }) =>
          write !== undefined && returnMs !== Infinity && callMs > (firstWrite?.returnMs ?? 0),
      );
      const at = calls.findIndex(
        ({ read, callMs }) => read !== undefined && callMs > (later?.returnMs ?? Infinity),
      );
      const victim = calls[at];
      if (victim === undefined || firstWrite?.write === undefined) {
        continue;
      }
      calls[at] = { ...victim, read: firstWrite.write };
      expect(checkRegister(calls), `seed ${seed}`).toBe("not linearizable");
      rejected++;
    }
  });

  /** Every order of every choice of the unanswered writes, for a few calls. */
  const hasOrder = (calls: readonly RegisterCall[], value: string): boolean => {
    if (calls.every(({ returnMs }) => returnMs === Infinity)) {
      return true;
    }
    const firstReturnMs = Math.min(...calls.map(({ returnMs }) => returnMs));
    return calls.some(
      ({ write, read, callMs }, i) =>
        callMs <= firstReturnMs &&
        (read === undefined || read === value) &&
        hasOrder(calls.toSpliced(i, 1), write ?? value),
    );
  };

  it("says of 3,000 small histories what trying every order says", () => {
    const verdicts = new Map([
      [true, 0],
      [false, 0],
    ]);
    for (let seed = 1; seed <= 3000; seed++) {
      const rng = new SeededRng(seed);
      const calls = Array.from({ length: 3 + rng.below(5) }, (_, i): RegisterCall => {
        const callMs = rng.below(30);
        const kind = rng.below(5);
        const write = kind < 2 ? `v${i}` : kind === 2 ? "" : undefined;
        const read = write === undefined ? ["", "v0", "v1", "v2", "v3"][rng.below(5)] : undefined;
        const isKnown = read !== undefined || rng.below(2) === 0;
        return { write, read, callMs, returnMs: isKnown ? callMs + rng.below(20) : Infinity };
      });
      const right = hasOrder(calls, "");
      verdicts.set(right, (verdicts.get(right) ?? 0) + 1);
      expect(checkRegister(calls), `seed ${seed}`).toBe(
        right ? "linearizable" : "not linearizable",
      );
    }
    expect(Math.min(...verdicts.values())).toBeGreaterThan(500);
  });

  it("decides histories in which most calls were never answered", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const rng = new SeededRng(seed);
      // Eight clients; what times out may be executed long after, in any order.
      const pending: { readonly write: string; readonly atMs: number }[] = [];
      const calls: RegisterCall[] = [];
      let value = "";
      for (let i = 0; i < 150; i++) {
        const callMs = i * 5;
        for (const due of pending.filter(({ atMs }) => atMs <= callMs)) {
          value = due.write;
          pending.splice(pending.indexOf(due), 1);
        }
        const write = [`v${i}`, `v${i}`, ""][rng.below(6)];
        if (write === undefined) {
          calls.push({ write, read: value, callMs: callMs - rng.below(40), returnMs: callMs });
        } else if (rng.below(10) > 0) {
          calls.push({ write, read: undefined, callMs, returnMs: Infinity });
          pending.push({ write, atMs: callMs + rng.below(2000) });
        } else {
          value = write;
          const returnMs = callMs + rng.below(40);
          calls.push({ write, read: undefined, callMs: callMs - rng.below(40), returnMs });
        }
      }
      expect(checkRegister(calls), `seed ${seed}`).toBe("linearizable");
      const shown = calls
        .filter(({ read }) => read !== undefined && read !== "")
        .map((c) => c.read);
      const stale = { write: undefined, read: shown[0], callMs: 10_000, returnMs: 10_001 };
      const last = { write: "last", read: undefined, callMs: 9000, returnMs: 9001 };
      expect(checkRegister([...calls, last, stale]), `seed ${seed}`).toBe(
        shown[0] === undefined ? "linearizable" : "not linearizable",
      );
    }
  });
});
