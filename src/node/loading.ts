// Running a synchronous operation of a store to its end: what it misses is loaded, and it is run
// again.

import { MissingRecords } from "../mvcc/index.ts";
import type { Store } from "../mvcc/contract.ts";
import type { EngineReader } from "../storage/engine.ts";

/** For stores (and recoveries) that nobody else uses meanwhile. */
export async function loading<T>(
  reader: EngineReader,
  store: Pick<Store, "load">,
  work: () => T,
): Promise<T> {
  for (;;) {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof MissingRecords)) {
        throw error;
      }
      const values = await reader.getMany(error.keys);
      store.load(error.keys.map((key, i) => ({ key, value: values[i] })));
    }
  }
}
