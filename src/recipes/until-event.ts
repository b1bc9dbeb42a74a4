// Waiting for something to happen in the store.

import { CompactedError } from "../client/index.ts";
import type { DeleteEvent, KeyRange, PutEvent, Quorate } from "../sdk/index.ts";

export interface EventWait {
  /** The revision that was looked at: what came after it counts. */
  readonly after: number;
  readonly signal: AbortSignal | undefined;
  /** Which events count; all, unless told. */
  readonly matches?: ((event: PutEvent<string> | DeleteEvent<string>) => boolean) | undefined;
}

/**
 * Resolves when something happened in the range after a revision, or may have (history was
 * compacted). Rejects with ClientError or the signal's reason. Costs a watch.
 */
export async function untilEvent(
  store: Quorate,
  range: KeyRange,
  { after, signal, matches = () => true }: EventWait,
): Promise<void> {
  await using watch = store.watch(range, { fromRevision: after + 1, signal });
  try {
    for await (const event of watch) {
      if (matches(event)) {
        return;
      }
    }
  } catch (error) {
    if (!(error instanceof CompactedError)) {
      throw error;
    }
  }
  signal?.throwIfAborted();
}
