// The applier on the paged store, with little memory and a checkpoint now and then, against the
// applier on the model: same results, same events, same leases, whatever had to be loaded.

import { expect, test } from "vitest";

import { bytesToHex, SeededRng, toClusterId, toLogIndex, toTerm } from "../../src/base/index.ts";
import type { LeaseId } from "../../src/base/index.ts";
import { Alarms, Applier } from "../../src/apply/index.ts";
import { AuthStore } from "../../src/auth/index.ts";
import type { ApplyOutcome } from "../../src/apply/index.ts";
import { Lessor } from "../../src/lease/index.ts";
import { Membership } from "../../src/membership/index.ts";
import { MissingRecords, Recovery, storeConfigDefault } from "../../src/mvcc/index.ts";
import type { Store } from "../../src/mvcc/contract.ts";
import { encodeCommand } from "../../src/wire/index.ts";
import { CommandSource, plain } from "./commands.ts";
import { ModelStore } from "./model-store.ts";

class World {
  readonly store: Store;
  readonly lessor = new Lessor();
  readonly #applier: Applier;
  readonly #records = new Map<string, Uint8Array>();
  loads = 0;

  constructor(store: Store) {
    this.store = store;
    this.#applier = new Applier({
      store,
      lessor: this.lessor,
      membership: Membership.bootstrap(toClusterId(1n), []),
      alarms: new Alarms(),
      auth: new AuthStore(),
    });
  }

  apply(index: number, data: Uint8Array): ApplyOutcome {
    return this.#loading(() => this.#applier.apply(toLogIndex(index), toTerm(1), data));
  }

  leaseKeys(id: LeaseId): Uint8Array[] {
    return this.#loading(() => this.store.leaseKeys(id));
  }

  #loading<T>(work: () => T): T {
    for (;;) {
      try {
        return work();
      } catch (error) {
        if (!(error instanceof MissingRecords)) {
          throw error;
        }
        this.loads++;
        this.store.load(
          error.keys.map((key) => ({ key, value: this.#records.get(bytesToHex(key)) })),
        );
      }
    }
  }

  checkpoint(): void {
    for (const operation of this.store.checkpoint().operations) {
      if (operation.kind === "put") {
        this.#records.set(bytesToHex(operation.key), operation.value.slice());
      } else {
        this.#records.delete(bytesToHex(operation.key));
      }
    }
    this.store.checkpointDone();
    this.store.trim();
  }
}

function pagedStore(): Store {
  const config = {
    ...storeConfigDefault,
    memoryBudgetBytes: 4096,
    pageSizeBytesMax: 128,
    blockSizeBytesTarget: 256,
    groupPagesMax: 4,
    redoSizeBytesMax: 4096,
  };
  return new Recovery(config, undefined).finish();
}

function comparable({ result, commits, sequence }: ApplyOutcome): unknown {
  const plainCommits = commits.map(({ revision, events }) => ({
    revision,
    events: events.map((event) => ({
      kind: event.kind,
      key: event.key,
      revision: event.revision,
      created: event.created,
      previousRevision: event.previousRevision,
      sub: event.sub,
      previousSub: event.previousSub,
      lease: event.lease,
      previousLease: event.previousLease,
      message: event.message,
    })),
  }));
  return { result: plain(result), commits: plainCommits, sequence };
}

function run(seed: number, steps: number): { readonly loads: number; readonly errors: number } {
  const rng = new SeededRng(seed);
  const source = new CommandSource(rng);
  const paged = new World(pagedStore());
  const model = new World(new ModelStore());
  let errors = 0;
  for (let index = 1; index <= steps; index++) {
    const { kind, body } = source.next();
    const envelope = { origin: 1n, sequence: index, user: "", authRevision: 0 };
    const data = encodeCommand(kind, body, envelope);
    const expected = model.apply(index, data);
    expect(comparable(paged.apply(index, data))).toEqual(comparable(expected));
    errors += expected.result.kind === "error" ? 1 : 0;
    source.revision = model.store.revision;
    for (const id of model.lessor.ids()) {
      expect(paged.leaseKeys(id)).toEqual(model.leaseKeys(id));
    }
    if (rng.below(10) === 0) {
      paged.checkpoint();
    }
  }
  expect(paged.lessor.ids()).toEqual(model.lessor.ids());
  return { loads: paged.loads, errors };
}

test("the paged store and the model agree on random commands", () => {
  let [loads, errors] = [0, 0];
  for (let seed = 1; seed <= 25; seed++) {
    try {
      const counts = run(seed, 200);
      loads += counts.loads;
      errors += counts.errors;
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
  expect(loads).toBeGreaterThan(20);
  expect(errors).toBeGreaterThan(100);
});
