// A received state is put in place of one that is being read: what was asked of the old records
// must never become part of the new state. Both states are real, over engines that wait when told.

import { expect, test } from "vitest";
import {
  SeededRng,
  toClusterId,
  toLogIndex,
  toMemberId,
  toTerm,
  utf8,
} from "../../src/base/index.ts";
import type { Clock } from "../../src/base/index.ts";
import { Membership } from "../../src/membership/index.ts";
import { foundingRecords, openState } from "../../src/node/index.ts";
import type { OpenedState } from "../../src/node/index.ts";
import { takeCheckpoint } from "../../src/node/replicated-state.ts";
import { StateMachine } from "../../src/node/state-machine.ts";
import type { EngineReader } from "../../src/storage/engine.ts";
import { createMemoryEngine } from "../../src/storage/index.ts";
import { encodeCommand, KeyValue, PutRequest } from "../../src/wire/index.ts";

const keys = 20;
const term = toTerm(1);
const key = utf8("key/0");

/** Holds what is asked of an engine, but for the first `free` times, until it is let go. */
class HeldReader implements EngineReader {
  readonly #opened: OpenedState;
  letGo: () => void = () => {};
  readonly #gate = new Promise<void>((resolve) => {
    this.letGo = resolve;
  });
  free = 0;
  asked = 0;

  constructor(opened: OpenedState) {
    this.#opened = opened;
  }

  async getMany(wanted: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    const isHeld = this.asked >= this.free;
    this.asked++;
    const values = await this.#opened.engine.getMany(wanted);
    if (isHeld) {
      await this.#gate;
    }
    return values;
  }

  scan: EngineReader["scan"] = (range) => this.#opened.engine.scan(range);
}

/** A state of some keys, all with this value, of which nothing old is in memory. */
async function makeState(value: string): Promise<OpenedState> {
  const engine = createMemoryEngine();
  const membership = Membership.bootstrap(toClusterId(9n), [
    { id: toMemberId(1n), name: "", peerUrls: ["http://a"], clientUrls: [], isLearner: false },
  ]);
  const meta = { index: toLogIndex(1), term, conf: membership.confState };
  await engine.write(foundingRecords(membership, meta), { sync: true });
  const options = {
    memoryBudgetBytes: 1024 * 1024,
    progressNotifyIntervalMs: 1_000,
    rng: new SeededRng(1),
    store: { blockSizeBytesTarget: 300, redoSizeBytesMax: 0 },
  };
  const { state } = await openState(engine, options);
  for (let i = 0; i < keys; i++) {
    const request = PutRequest.create({ key: utf8(`key/${i}`), value: utf8(value) });
    const body = PutRequest.encode(request);
    const envelope = { origin: 1n, sequence: i, user: "", authRevision: 0 };
    state.applier.apply(toLogIndex(i + 2), term, encodeCommand("put", body, envelope));
  }
  const { operations } = takeCheckpoint(state, toLogIndex(keys + 1), term);
  await engine.write(operations, { sync: true });
  return openState(engine, options);
}

interface World {
  readonly machine: StateMachine;
  readonly before: HeldReader;
  readonly fatal: unknown[];
  /** The value of `key` in the state in use. */
  read(): Promise<string>;
  /** Puts the received state in place. */
  replace(): void;
}

async function makeWorld(): Promise<World> {
  const [old, received] = await Promise.all([makeState("old"), makeState("new")]);
  const before = new HeldReader(old);
  const fatal: unknown[] = [];
  const clock = { monotonicMs: () => 0 } as Clock;
  const machine = new StateMachine(old.state, before, old.applied, clock, {
    onApplied: () => {},
    onConfChange: () => {},
    onProgress: () => {},
    onFatal: (error) => fatal.push(error),
  });
  const query = {
    key,
    rangeEnd: new Uint8Array(0),
    revision: 0 as never,
    limit: 0,
    keysOnly: false,
    countOnly: false,
    sortTarget: "key",
    sortOrder: "none",
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  } as const;
  return {
    machine,
    before,
    fatal,
    read: async () => {
      const { kvs } = await machine.read(({ store }) => store.range(query));
      const pair = KeyValue.decode(kvs[0]?.message ?? new Uint8Array(0));
      return Buffer.from(pair.value).toString();
    },
    replace: () => machine.replace(received.state, received.engine, received.applied),
  };
}

/** Lets everything run that waits for nothing from outside. */
const rest = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a state is read as it stands", async () => {
  const { before, read, replace, fatal } = await makeWorld();
  before.letGo();
  expect(await read()).toBe("old");
  expect(before.asked).toBe(3);
  replace();
  expect(await read()).toBe("new");
  expect(fatal).toEqual([]);
});

test("no state goes while records of it are being loaded", async () => {
  const { machine, before, read, replace } = await makeWorld();
  const early = read();
  await rest();
  expect(before.asked).toBe(1);
  let isQuiet = false;
  const quiet = machine.quiesce().then(() => {
    isQuiet = true;
  });
  const late = read();
  await rest();
  expect(isQuiet).toBe(false);
  before.letGo();
  await quiet;
  await rest();
  // Neither read has gone on to ask the engine that is about to be closed.
  expect(before.asked).toBe(1);
  replace();
  expect(await Promise.all([early, late])).toEqual(["new", "new"]);
  expect(before.asked).toBe(1);
});

// A read loads the page group of its key, then the page, then the block of the value.
test.each([1, 2, 3])(
  "records of a state that went are not the new one's: load %i",
  async (load) => {
    const { before, read, replace, fatal } = await makeWorld();
    before.free = load - 1;
    const early = read();
    while (before.asked < load) {
      await rest();
    }
    replace();
    before.letGo();
    expect(await early).toBe("new");
    expect(await read()).toBe("new");
    expect(before.asked).toBe(load);
    expect(fatal).toEqual([]);
  },
);
