// The state of a data directory outside of a member: brought up to its log, and hashed.

import { CorruptionError, QuorateError, StorageError } from "../base/index.ts";
import type { Entry, Revision } from "../base/index.ts";
import type { Store } from "../mvcc/contract.ts";
import type { ReadLog } from "../storage/index.ts";
import type { EngineReader } from "../storage/engine.ts";
import type { HashResult } from "./handle.ts";
import { loading } from "./loading.ts";
import type { OpenedState } from "./replicated-state.ts";

const progressEvery = 1_000;

/**
 * Runs the log's committed commands on the state in memory, as a start would; resolves with how
 * many entries. What a single voter has in its log is committed; of several, only the part that
 * the log says so of.
 */
export async function replayLog(
  { applied, state, conf, engine }: OpenedState,
  log: ReadLog,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<number> {
  const isAlone = conf.voters.length === 1 && conf.voters[0] === log.identity.memberId;
  const commit = isAlone ? (log.entries.at(-1)?.index ?? 0) : log.hardState.commit;
  const isNext = ({ index }: Entry): boolean => index > applied.index && index <= commit;
  const entries = log.entries.filter(isNext);
  for (const [i, { kind, index, term, data }] of entries.entries()) {
    if (kind === "command") {
      await loading(engine, state.store, () => state.applier.apply(index, term, data));
      state.store.trim();
    }
    if (i % progressEvery === 0) {
      onProgress(i, entries.length);
    }
  }
  return entries.length;
}

/** HashKV at `revision`, 0 for the newest. Throws StorageError when that cannot be read. */
export async function hashState(
  reader: EngineReader,
  store: Store,
  revision: number,
  onProgress: (blocks: number) => void = () => {},
): Promise<HashResult> {
  const at = (revision === 0 ? store.revision : revision) as Revision;
  if (at > store.revision || at < store.compactedRevision) {
    throw new StorageError(
      `there is no revision ${at} to hash: history goes from ${store.compactedRevision} to ` +
        `${store.revision}`,
    );
  }
  const walk = store.beginHash(at);
  try {
    for (let blocks = 1; await loading(reader, store, () => walk.step()); blocks++) {
      store.trim();
      onProgress(blocks);
    }
  } catch (error) {
    throw error instanceof QuorateError
      ? new CorruptionError(`history cannot be hashed: ${error.message}`, { cause: error })
      : error;
  }
  return { hash: walk.hash, compactedRevision: walk.compactedRevision, hashRevision: at };
}
