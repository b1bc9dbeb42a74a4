// A random life of a hub and its clients, from one seed.

import { SeededRng, utf8 } from "../../src/base/index.ts";
import type { Revision, Rng } from "../../src/base/index.ts";
import { MissingRecords } from "../../src/mvcc/contract.ts";
import type { Commit, StoreReader } from "../../src/mvcc/contract.ts";
import type { WatchOptions, WatchStream } from "../../src/mvcc/watch-contract.ts";
import { WatchHub } from "../../src/mvcc/watch-hub.ts";
import type { Change } from "./fake-store.ts";
import { History, ModelClient } from "./model.ts";

/** A store to watch, with the means to make its life hard. */
export interface StoreUnderTest extends StoreReader {
  commit(changes: readonly Change[]): Commit | undefined;
  compact(revision: number): void;
  /** Makes records of some revisions absent from memory. */
  chill(...revisions: number[]): void;
  load(keys: readonly Uint8Array[]): void;
  /** The same state as another object. */
  copy(): StoreUnderTest;
}

export interface Tally {
  events: number;
  progress: number;
  compacted: number;
  missing: number;
  installs: number;
}

const keyCount = 12;
const clientsMax = 5;

export class Workload {
  readonly tally: Tally = { events: 0, progress: 0, compacted: 0, missing: 0, installs: 0 };
  readonly #rng: Rng;
  readonly #history = new History();
  #store: StoreUnderTest;
  #hub: WatchHub;
  #clients: { client: ModelClient; stream: WatchStream }[] = [];
  #values = 0;
  #nowMs = 0;

  constructor(seed: number, store: StoreUnderTest) {
    this.#rng = new SeededRng(seed);
    this.#store = store;
    this.#hub = this.#newHub(seed);
  }

  run(steps: number): void {
    for (let i = 0; i < steps; i++) {
      this.#step();
    }
    this.#settle();
  }

  #newHub(seed: number): WatchHub {
    return new WatchHub(this.#store, { rng: new SeededRng(seed, 1), progressIntervalMs: 50 });
  }

  #step(): void {
    const choice = this.#rng.below(100);
    if (choice < 35) {
      this.#commit(this.#store, true);
    } else if (choice < 50) {
      this.#createWatch();
    } else if (choice < 56) {
      this.#withClient(({ client, stream }) => {
        const id = BigInt(this.#rng.below(6));
        client.canceling(id, () => stream.cancel(id));
      });
    } else if (choice < 62) {
      this.#withClient(({ client }) => {
        client.capacity = this.#rng.below(4);
      });
    } else if (choice < 70) {
      this.#withClient(({ client, stream }) => resume(client, stream));
    } else if (choice < 82) {
      this.#catchUp();
    } else if (choice < 86) {
      this.#withClient(({ stream }) => stream.requestProgress());
    } else if (choice < 90) {
      this.#nowMs += this.#rng.below(60);
      this.#hub.progress(this.#nowMs);
    } else if (choice < 93) {
      this.#compact(this.#store);
    } else if (choice < 97) {
      this.#store.chill(...this.#someRevisions());
    } else if (choice < 99) {
      this.#closeClient();
    } else {
      this.#install();
    }
  }

  #commit(store: StoreUnderTest, publish: boolean): void {
    const changes: Change[] = [];
    for (let i = this.#rng.below(3); i >= 0; i--) {
      const key = this.#key();
      if (this.#rng.below(3) === 0) {
        const rangeEnd = this.#rng.below(4) === 0 ? `${key}~` : "";
        changes.push({ kind: "delete", key, rangeEnd });
      } else {
        changes.push({ kind: "put", key, value: `v${this.#values++}` });
      }
    }
    const commit = store.commit(changes);
    if (commit !== undefined) {
      this.#history.add(commit);
      if (publish) {
        this.#hub.publish(commit);
      }
    }
  }

  #compact(store: StoreUnderTest): void {
    const span = store.revision - store.compactedRevision;
    const revision = store.compactedRevision + this.#rng.below(Math.max(1, span));
    if (revision > store.compactedRevision) {
      store.compact(revision);
      this.#history.compacted = revision;
    }
  }

  #createWatch(): void {
    const options = this.#options();
    this.#withClient(({ client, stream }) =>
      client.creating(options, () => stream.create(options)),
    );
  }

  #options(): WatchOptions {
    const ends = ["", "", "\0", this.#key(), `${this.#key()}~`];
    const starts = [0, 0, this.#rng.below(this.#store.revision + 5), this.#store.revision + 1];
    return {
      key: utf8(this.#rng.below(10) === 0 ? "\0" : this.#key()),
      rangeEnd: utf8(this.#pick(ends)),
      watchId: this.#rng.below(4) === 0 ? BigInt(this.#rng.below(6)) : 0n,
      startRevision: this.#pick(starts) as Revision,
      previous: this.#rng.below(2) === 0,
      progressNotify: this.#rng.below(2) === 0,
      noPut: this.#rng.below(5) === 0,
      noDelete: this.#rng.below(5) === 0,
      fragment: false,
    };
  }

  #catchUp(): void {
    try {
      this.#hub.catchUp(1 + this.#rng.below(8));
    } catch (error) {
      if (!(error instanceof MissingRecords)) {
        throw error;
      }
      this.tally.missing++;
      this.#store.load(error.keys);
    }
  }

  #install(): void {
    const store = this.#store.copy();
    for (let i = this.#rng.below(8); i > 0; i--) {
      this.#commit(store, false);
    }
    if (this.#rng.below(2) === 0) {
      this.#compact(store);
    }
    this.#store = store;
    const before = this.#hub;
    this.#hub = this.#newHub(this.#rng.next());
    this.#hub.adopt(before);
    this.tally.installs++;
  }

  #withClient(act: (entry: { client: ModelClient; stream: WatchStream }) => void): void {
    if (this.#clients.length < clientsMax && this.#rng.below(5) === 0) {
      const client = new ModelClient(this.#history);
      this.#clients.push({ client, stream: this.#hub.openStream(client) });
    }
    const entry = this.#clients[this.#rng.below(Math.max(1, this.#clients.length))];
    if (entry !== undefined) {
      act(entry);
    }
  }

  #closeClient(): void {
    const [gone] = this.#clients.splice(this.#rng.below(clientsMax), 1);
    if (gone !== undefined) {
      gone.stream.close();
      gone.client.closed();
      this.#count(gone.client);
    }
  }

  #count(client: ModelClient): void {
    this.tally.events += client.eventsHeard;
    this.tally.progress += client.progressHeard;
    this.tally.compacted += client.compactedHeard;
  }

  /** Everybody takes everything: then all is heard, and progress is answered. */
  #settle(): void {
    for (const { client, stream } of this.#clients) {
      resume(client, stream);
    }
    for (let turns = 0; this.#hub.hasCatchUp; turns++) {
      if (turns > 10_000) {
        throw new Error("catching up does not end");
      }
      this.#catchUp();
    }
    for (const { client, stream } of this.#clients) {
      client.checkComplete();
      const watches = [...client.watches.values()];
      const { revision } = this.#history;
      const isDue = watches.every(({ options }) => options.startRevision <= revision);
      const before = client.progressHeard;
      stream.requestProgress();
      if (client.progressHeard === before && isDue && watches.length > 0) {
        throw new Error("progress was not answered");
      }
      this.#count(client);
    }
    const slow = this.#hub.stats().slowWatchers;
    if (slow !== 0) {
      throw new Error(`${slow} watchers still count as slow`);
    }
  }

  #someRevisions(): number[] {
    const { revision } = this.#store;
    return Array.from({ length: 5 }, () => Math.max(2, revision - this.#rng.below(20)));
  }

  #key(): string {
    const number = this.#rng.below(keyCount);
    return number < 6 ? `a${number}` : `b${number}`;
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[this.#rng.below(choices.length)] as T;
  }
}

function resume(client: ModelClient, stream: WatchStream): void {
  client.capacity = Number.POSITIVE_INFINITY;
  stream.resume();
}
