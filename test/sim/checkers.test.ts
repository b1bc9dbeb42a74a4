// The checks check: what a life has recorded passes, and every small lie in it is found.

import { beforeAll, describe, expect, it } from "vitest";
import { SeededRng } from "../../src/base/index.ts";
import { checkHistory } from "./history-check.ts";
import { History } from "./history.ts";
import type { Operation } from "./history.ts";
import { chooseOptions } from "./options.ts";
import { isLinearizable } from "./register-check.ts";
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
      expect(isLinearizable(random(new SeededRng(seed), 60)), `seed ${seed}`).toBe(true);
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
      expect(isLinearizable(calls), `seed ${seed}`).toBe(false);
      rejected++;
    }
  });
});
