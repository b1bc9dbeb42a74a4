// A backup of the state in etcd's snapshot format, made in the background while everything goes on.
//
// It is made from a pinned view of the engine, so it is the state at one point of the log however
// long it takes. On that view a second store is opened, with little memory, which knows of each old
// event whether compaction has to free it. The file is written to the data directory first, because
// receivers are told its size before the first byte.

import { QuorateError } from "../base/index.ts";
import type { Clock, SnapshotMeta } from "../base/index.ts";
import { alarmsKey } from "../apply/index.ts";
import { authKey, roleRange, userRange } from "../auth/index.ts";
import { writeSnapshot } from "../etcd-snapshot/index.ts";
import type { HistoryRow, SnapshotContents } from "../etcd-snapshot/index.ts";
import { leaseRange } from "../lease/index.ts";
import { membershipKey } from "../membership/index.ts";
import type { Store } from "../mvcc/contract.ts";
import type { ScratchFile } from "../storage/index.ts";
import type { EngineReader, EngineView, Row, ScanRange } from "../storage/engine.ts";
import { AlarmRecord, AuthRecord, MembershipRecord } from "../wire/index.ts";
import { loading } from "./loading.ts";
import { openStore } from "./open-store.ts";

/** For the pages and blocks that are looked at, bytes. */
const memoryBudgetBytes = 16 * 1024 * 1024;
/** After so many others get their turn. */
const blocksAtOnce = 4;

export interface BackupSource {
  /** The engine with everything applied so far, and where that stands. */
  view(): Promise<{ readonly meta: SnapshotMeta; readonly view: EngineView }>;
  /** Undefined where there are no files. */
  createFile(): Promise<ScratchFile> | undefined;
  readonly clock: Clock;
}

/** Makes the file, without its hash; whoever gets it must close it. */
export async function makeBackup(
  source: BackupSource,
  storageVersion: string,
): Promise<ScratchFile> {
  const creating = source.createFile();
  if (creating === undefined) {
    throw new QuorateError("notCapable");
  }
  const file = await creating;
  try {
    const { meta, view } = await source.view();
    try {
      await writeSnapshot(file, await contentsOf(view, meta, storageVersion, source.clock));
    } finally {
      await view.close();
    }
  } catch (error) {
    await file.close();
    throw error;
  }
  return file;
}

async function contentsOf(
  view: EngineView,
  meta: SnapshotMeta,
  storageVersion: string,
  clock: Clock,
): Promise<SnapshotContents> {
  const [members, alarms, auth] = await view.getMany([membershipKey, alarmsKey, authKey]);
  const membership = MembershipRecord.decode(members ?? new Uint8Array(0));
  const authentication = auth === undefined ? undefined : AuthRecord.decode(auth);
  const store = await openStore(view, { memoryBudgetBytes });
  return {
    index: meta.index,
    term: meta.term,
    conf: meta.conf,
    storageVersion,
    compactedRevision: store.compactedRevision,
    members: membership.members,
    removed: membership.removed,
    alarms: alarms === undefined ? [] : AlarmRecord.decode(alarms).alarms,
    auth: {
      enabled: authentication?.enabled ?? false,
      revision: authentication?.revision ?? 0,
    },
    users: namedRows(view, userRange),
    roles: namedRows(view, roleRange),
    leases: namedRows(view, leaseRange),
    history: historyRows(view, store, clock),
  };
}

/** Rows of a range without the byte that all its keys begin with. */
async function* namedRows(view: EngineView, range: ScanRange): AsyncGenerator<readonly Row[]> {
  for await (const rows of view.scan(range)) {
    yield rows.map(([key, value]) => [key.subarray(1), value] as const);
  }
}

async function* historyRows(
  view: EngineReader,
  store: Store,
  clock: Clock,
): AsyncGenerator<readonly HistoryRow[]> {
  const history = store.beginExport();
  for (let block = 1; ; block++) {
    if (block % blocksAtOnce === 0) {
      await new Promise<void>((resolve) => clock.soon(resolve));
    }
    const rows = await loading(view, store, () => history.next());
    if (rows === undefined) {
      return;
    }
    yield rows;
    store.trim();
  }
}
