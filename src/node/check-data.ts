// Everything that can be said of a member's directory without starting the member and without
// changing a byte: whether log and state hold, belong together, and can be read to the last key.

import { CorruptionError, compareIds, idToHex, SeededRng } from "../base/index.ts";
import type { ConfState, LeaseId, Revision } from "../base/index.ts";
import { describeIdentity, inspectDirectory, problemOf } from "../storage/index.ts";
import type { Finding, ReadLog, Report, Shadow } from "../storage/index.ts";
import { KeyValue } from "../wire/index.ts";
import { loading } from "./loading.ts";
import { hashState, replayLog } from "./offline-state.ts";
import { openState } from "./replicated-state.ts";
import type { OpenedState, ReplicatedState } from "./replicated-state.ts";

const memoryBudgetBytes = 64 * 1024 * 1024;
const keysAtOnce = 1_000;
/** Rows that do not hold are named one by one up to so many. */
const damageMax = 20;

export interface CheckOptions {
  readonly onFinding: Report;
  /** What is being done, and how far it has come, as text. */
  readonly onProgress: (text: string) => void;
}

/** What a directory holds, as far as it could be read. */
export interface CheckedData {
  readonly owner: string | undefined;
  readonly log: LogSummary | undefined;
  readonly state: StateSummary | undefined;
}

export interface LogSummary {
  readonly segments: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly term: number;
  /** Hex; "" for none. */
  readonly vote: string;
  readonly commit: number;
  readonly markIndex: number;
}

export interface StateSummary {
  readonly name: string;
  readonly rows: number;
  readonly sizeBytes: number;
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  /** Committed entries of the log that were applied to a copy in memory on top. */
  readonly replayed: number;
  readonly voters: readonly string[];
  readonly learners: readonly string[];
  readonly revision: number;
  readonly compactedRevision: number;
  readonly keys: number;
  readonly leases: number;
  readonly users: number;
  readonly roles: number;
  readonly authEnabled: boolean;
  readonly alarms: number;
  /** HashKV at `revision`; undefined when history cannot be read. */
  readonly hash: number | undefined;
}

/** Throws StorageError when there is nothing that can be checked; see inspectDirectory. */
export async function checkData(path: string, options: CheckOptions): Promise<CheckedData> {
  const { onFinding } = options;
  options.onProgress("reading the log");
  const found = await inspectDirectory(path, onFinding);
  try {
    const { log, state, pointer } = found;
    const summary =
      state === undefined || pointer === undefined
        ? undefined
        : await new StateCheck(state, `state-${pointer.state}`, log, options).run();
    return {
      owner: log === undefined ? undefined : describeIdentity(log),
      log: log === undefined ? undefined : summarize(log),
      state: summary,
    };
  } finally {
    await found.close();
  }
}

function summarize({ segments, entries, hardState, snapshot }: ReadLog): LogSummary {
  const mark = snapshot?.index ?? 0;
  return {
    segments: segments.length,
    firstIndex: entries[0]?.index ?? mark + 1,
    lastIndex: entries.at(-1)?.index ?? mark,
    term: hardState.term,
    vote: hardState.vote === 0n ? "" : idToHex(hardState.vote),
    commit: hardState.commit,
    markIndex: mark,
  };
}

class StateCheck {
  readonly #shadow: Shadow;
  readonly #name: string;
  readonly #log: ReadLog | undefined;
  readonly #options: CheckOptions;

  constructor(shadow: Shadow, name: string, log: ReadLog | undefined, options: CheckOptions) {
    this.#shadow = shadow;
    this.#name = name;
    this.#log = log;
    this.#options = options;
  }

  async run(): Promise<StateSummary | undefined> {
    const rows = await this.#attempt(() => this.#checkRows());
    const opened = await this.#attempt(() =>
      openState(this.#shadow.engine, {
        memoryBudgetBytes,
        progressNotifyIntervalMs: 0,
        rng: new SeededRng(1),
      }),
    );
    if (opened === undefined) {
      return undefined;
    }
    this.#checkTogether(opened);
    const { state } = opened;
    await this.#attempt(() => this.#checkKeys(state));
    await this.#attempt(() => this.#checkLeases(state));
    const { onProgress } = this.#options;
    const log = this.#log;
    const replayed =
      log === undefined
        ? 0
        : await this.#attempt(() =>
            replayLog(opened, log, (done, all) =>
              onProgress(`replaying the log: ${done} of ${all}`),
            ),
          );
    const hashed = await this.#attempt(() =>
      hashState(opened.engine, state.store, 0, (blocks) =>
        onProgress(`reading history: ${blocks} blocks`),
      ),
    );
    const found = { rows: rows ?? 0, replayed: replayed ?? 0, hash: hashed?.hash };
    return this.#summary(opened, found);
  }

  async #checkRows(): Promise<number> {
    let damaged = 0;
    const rows = await this.#shadow.verifyRows({
      onDamage: (error) => {
        damaged++;
        if (damaged <= damageMax) {
          this.#problem(error);
        }
      },
      onProgress: (bytes) => this.#options.onProgress(`reading rows: ${bytes} bytes`),
    });
    if (damaged > damageMax) {
      this.#problem(new CorruptionError(`${damaged - damageMax} more rows are damaged`));
    }
    return rows;
  }

  /** Log and state must be of one member, overlap, and agree on who the members are. */
  #checkTogether({ applied, conf, state }: OpenedState): void {
    const log = this.#log;
    if (log === undefined) {
      return;
    }
    const { identity, snapshot, entries, hardState } = log;
    const { membership } = state;
    const first = snapshot?.index ?? 0;
    const last = entries.at(-1)?.index ?? first;
    const complain = (what: string): void => this.#problem(new CorruptionError(what));
    if (membership.clusterId !== identity.clusterId) {
      const ids = [membership.clusterId, identity.clusterId].map((id) => idToHex(id));
      complain(`the state is of cluster ${ids[0]}, the log of cluster ${ids[1]}`);
    }
    if (applied.index < first || applied.index > last) {
      complain(
        `the state stands at log index ${applied.index}, the log goes from ${first} to ${last}: ` +
          "one of them has lost what was durable",
      );
    } else if (applied.term !== termAt(log, applied.index)) {
      complain(
        `the state was applied up to entry ${applied.index} of term ${applied.term}, the log has ` +
          `term ${termAt(log, applied.index)} there`,
      );
    }
    if (hardState.term < applied.term) {
      complain(`the log is at term ${hardState.term}, the state at ${applied.term}`);
    }
    if (snapshot?.index === applied.index && !sameConf(snapshot.conf, conf)) {
      complain("log and state name different voters for the same entry");
    }
    if (membership.isRemoved(identity.memberId)) {
      this.#options.onFinding({
        kind: "problem",
        what: `member ${idToHex(identity.memberId)} was removed from its cluster`,
        advice: "Delete the directory. To come back, the member must be added anew.",
      });
    }
  }

  /** Every key of every page, with its pair from history. */
  async #checkKeys({ store }: ReplicatedState): Promise<void> {
    let from: Uint8Array = Uint8Array.of(0);
    let seen = 0;
    for (;;) {
      const query = { ...wholeRange, key: from, limit: keysAtOnce };
      const { kvs, more } = await this.#load(store, () => store.range(query));
      const last = kvs.at(-1);
      seen += kvs.length;
      this.#options.onProgress(`reading keys: ${seen} of ${store.keyCount}`);
      if (!more || last === undefined) {
        break;
      }
      from = successor(KeyValue.decode(last.message).key);
      store.trim();
    }
    if (seen !== store.keyCount) {
      throw new CorruptionError(`${seen} keys can be read, the directory counts ${store.keyCount}`);
    }
  }

  async #checkLeases({ store, lessor }: ReplicatedState): Promise<void> {
    for (const id of lessor.ids()) {
      for (const key of await this.#load(store, () => store.leaseKeys(id))) {
        const meta = await this.#load(store, () => store.meta(key));
        if (meta?.lease !== id) {
          throw new CorruptionError(
            `lease ${idToHex(id)} names a key that is not attached to it: ${describe(key, id)}`,
          );
        }
      }
      store.trim();
    }
  }

  #summary(
    { state, applied, conf }: OpenedState,
    found: Pick<StateSummary, "rows" | "replayed" | "hash">,
  ): StateSummary {
    const { store, lessor, auth, alarms } = state;
    return {
      name: this.#name,
      sizeBytes: this.#shadow.sizeBytes,
      appliedIndex: applied.index,
      appliedTerm: applied.term,
      voters: conf.voters.map(idToHex),
      learners: [...conf.learners, ...conf.learnersNext].map(idToHex),
      revision: store.revision,
      compactedRevision: store.compactedRevision,
      keys: store.keyCount,
      leases: lessor.ids().length,
      users: auth.userNames().length,
      roles: auth.roleNames().length,
      authEnabled: auth.enabled,
      alarms: alarms.list().length,
      ...found,
    };
  }

  #load<T>(store: ReplicatedState["store"], work: () => T): Promise<T> {
    return loading(this.#shadow.engine, store, work);
  }

  async #attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.#problem(error);
      return undefined;
    }
  }

  #problem(error: unknown): void {
    const found: Finding = problemOf(error);
    this.#options.onFinding({ ...found, what: `${this.#name}: ${found.what}` });
  }
}

const wholeRange = {
  rangeEnd: Uint8Array.of(0),
  revision: 0 as Revision | 0,
  keysOnly: false,
  countOnly: false,
  sortTarget: "key",
  sortOrder: "none",
  minModRevision: 0,
  maxModRevision: 0,
  minCreateRevision: 0,
  maxCreateRevision: 0,
} as const;

function termAt({ snapshot, entries }: ReadLog, index: number): number | undefined {
  return snapshot?.index === index
    ? snapshot.term
    : (entries.find((entry) => entry.index === index)?.term ?? (index === 0 ? 0 : undefined));
}

function sameConf(a: ConfState, b: ConfState): boolean {
  const text = (conf: ConfState): string =>
    [conf.voters, conf.votersOutgoing, conf.learners, conf.learnersNext]
      .map((ids) => [...ids].sort(compareIds).join())
      .join(";");
  return text(a) === text(b);
}

function describe(key: Uint8Array, lease: LeaseId): string {
  return `${Buffer.from(key).toString("latin1")} (lease ${idToHex(lease)})`;
}

function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}
