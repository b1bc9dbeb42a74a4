// Opening the store from its engine: the awaiting side of mvcc's Recovery.

import { groupRange, Recovery, storeConfigDefault, storeMetaKey } from "../mvcc/index.ts";
import type { StoreConfig } from "../mvcc/index.ts";
import type { Store } from "../mvcc/contract.ts";
import type { EngineReader } from "../storage/engine.ts";
import { loading } from "./loading.ts";

/** The store as the engine's last batch left it; an empty engine gives an empty store. */
export async function openStore(
  engine: EngineReader,
  options: Partial<StoreConfig> = {},
): Promise<Store> {
  const [meta] = await engine.getMany([storeMetaKey]);
  const recovery = new Recovery({ ...storeConfigDefault, ...options }, meta);
  for await (const rows of engine.scan({ ...groupRange })) {
    recovery.addGroups(rows);
  }
  for await (const rows of engine.scan(recovery.redoRange())) {
    recovery.addBlocks(rows);
    await loading(engine, recovery, () => recovery.step());
  }
  return loading(engine, recovery, () => recovery.finish());
}
