// A small but whole state of a member, in records: keys in many pages and groups, old versions,
// transactions, compacted history, leases, alarms, members.

import { SeededRng, utf8 } from "../../src/base/index.ts";
import type { ClusterId, LogIndex, Term } from "../../src/base/index.ts";
import { MissingRecords } from "../../src/mvcc/index.ts";
import { Membership } from "../../src/membership/index.ts";
import { deriveMemberId, foundingRecords, openState } from "../../src/node/index.ts";
import type { OpenedState } from "../../src/node/index.ts";
import { takeCheckpoint } from "../../src/node/replicated-state.ts";
import { createMemoryEngine } from "../../src/storage/index.ts";
import type { Engine, Row } from "../../src/storage/engine.ts";
import {
  AlarmRequest,
  CompactionRequest,
  DeleteRangeRequest,
  LeaseGrantRequest,
  PutRequest,
  encodeCommand,
} from "../../src/wire/index.ts";
import type { CommandBodyKind } from "../../src/wire/index.ts";

export const clusterId = 0xc1n as ClusterId;
const envelope = { origin: 1n, sequence: 1, user: "", authRevision: 0 };
const term = 1 as Term;

export function open(engine: Engine): Promise<OpenedState> {
  return openState(engine, {
    memoryBudgetBytes: 1024 * 1024,
    progressNotifyIntervalMs: 1_000,
    rng: new SeededRng(1),
    store: { pageSizeBytesMax: 300, blockSizeBytesTarget: 500, groupPagesMax: 4 },
  });
}

/** Runs `work`, loading what it misses. */
export async function loading<T>(opened: OpenedState, work: () => T): Promise<T> {
  for (;;) {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof MissingRecords)) {
        throw error;
      }
      const values = await opened.engine.getMany(error.keys);
      opened.state.store.load(error.keys.map((key, i) => ({ key, value: values[i] })));
    }
  }
}

class Builder {
  readonly #opened: OpenedState;
  #index = 1;

  constructor(opened: OpenedState) {
    this.#opened = opened;
  }

  async apply(kind: CommandBodyKind, body: Uint8Array): Promise<void> {
    const index = ++this.#index as LogIndex;
    const data = encodeCommand(kind, body, envelope);
    await loading(this.#opened, () => this.#opened.state.applier.apply(index, term, data));
  }

  /** Gives all rows as they are then. */
  async checkpoint(): Promise<Row[]> {
    const { state, engine } = this.#opened;
    const { operations } = takeCheckpoint(state, this.#index as LogIndex, term);
    await engine.write(operations, { sync: true });
    state.store.checkpointDone();
    return rowsOf(engine);
  }
}

/** Its rows in key order, as each checkpoint left them; the last is the state now. */
export async function makeStates(): Promise<Row[][]> {
  const engine = createMemoryEngine();
  const members = ["http://a:1", "http://b:1", "http://c:1"].map((url) => ({
    id: deriveMemberId([url], "fuzz"),
    name: url,
    peerUrls: [url],
    clientUrls: [url],
    isLearner: false,
  }));
  const membership = Membership.bootstrap(clusterId, members);
  const meta = { index: 1 as LogIndex, term, conf: membership.confState };
  await engine.write(foundingRecords(membership, meta), { sync: true });
  const builder = new Builder(await open(engine));
  const states: Row[][] = [];
  for (let n = 0; n < 400; n++) {
    if (n % 20 === 0) {
      const grant = LeaseGrantRequest.create({ id: BigInt(n + 1), ttl: 100 });
      await builder.apply("leaseGrant", LeaseGrantRequest.encode(grant));
    }
    const lease = n % 7 === 0 ? BigInt(n - (n % 20) + 1) : 0n;
    const key = utf8(`key/${(n * 37) % 90}`);
    const value = utf8("v".repeat(n % 50));
    const put = PutRequest.create({ key, value, lease });
    await builder.apply("put", PutRequest.encode(put));
    if (n % 9 === 0) {
      const request = DeleteRangeRequest.create({ key: utf8(`key/${n % 90}`) });
      await builder.apply("deleteRange", DeleteRangeRequest.encode(request));
    }
    if (n === 200) {
      const request = CompactionRequest.create({ revision: 100 });
      await builder.apply("compaction", CompactionRequest.encode(request));
    }
    if (n % 50 === 0) {
      states.push(await builder.checkpoint());
    }
  }
  const alarm = AlarmRequest.create({ action: 1, memberId: 1n, alarm: 1 });
  await builder.apply("alarm", AlarmRequest.encode(alarm));
  states.push(await builder.checkpoint());
  return states;
}

export async function rowsOf(engine: Engine): Promise<Row[]> {
  const found: Row[] = [];
  for await (const rows of engine.scan({ from: new Uint8Array(0), to: undefined })) {
    found.push(...rows);
  }
  return found;
}

export async function engineOf(rows: readonly Row[]): Promise<Engine> {
  const engine = createMemoryEngine();
  await engine.write(
    rows.map(([key, value]) => ({ kind: "put" as const, key, value })),
    { sync: true },
  );
  return engine;
}
