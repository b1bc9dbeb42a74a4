// Snapshot files without a server: what is in one, and a data directory made from one. Apart from
// quoratectl's verbs so that only these load the node and its storage.

import { randomBytes } from "node:crypto";
import { SeededRng } from "../base/index.ts";
import { countingReads, EtcdSnapshot } from "../etcd-snapshot/index.ts";
import type { SnapshotStatus } from "../etcd-snapshot/index.ts";
import { restoreSnapshot } from "../node/index.ts";
import type { Restored, RestoreOptions } from "../node/index.ts";
import { parseUrls } from "../server/index.ts";
import { openFile } from "../storage/index.ts";
import { checkInitialCluster, parseInitialCluster } from "./initial-cluster.ts";

/** Reads all of the file; a hash behind it is not asked for, as etcdctl does not. */
export async function statusOfSnapshot(
  path: string,
  onProgress: (bytes: number, total: number) => void,
): Promise<SnapshotStatus> {
  const file = await openFile(path);
  try {
    const source = countingReads(file, (bytes) => onProgress(bytes, file.sizeBytes));
    const snapshot = await EtcdSnapshot.open(source, { skipHashCheck: true });
    return await snapshot.status();
  } finally {
    await file.close();
  }
}

export { defragmentData, hashOffline } from "../node/index.ts";

export type RestoreFlags = Omit<RestoreOptions, "members" | "rng"> & {
  readonly initialCluster: string;
  readonly advertisePeerUrls: string;
};

/** Throws ConfigError for flags that do not fit together. */
export function restoreFile(path: string, flags: RestoreFlags): Promise<Restored> {
  const members = parseInitialCluster(flags.initialCluster);
  const advertised = parseUrls(flags.advertisePeerUrls).map((url) => url.text);
  checkInitialCluster(members, flags.name, advertised, true);
  const rng = new SeededRng(randomBytes(6).readUIntBE(0, 6));
  return restoreSnapshot(path, { ...flags, members, rng });
}
