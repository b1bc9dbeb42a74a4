// What a mirror's source has changed between two of its revisions, without a watch: the keys of
// both are read side by side, and values only of those that changed. So the end is certain. A watch
// could not tell it: etcd before the fix of its issue 15220 (2023) answers a request for progress
// with a revision whose events may still be on their way.

import type { Client } from "../../client/index.ts";
import { type KeyValue, RangeRequest, type RequestOp } from "../../wire/index.ts";
import { orFail } from "./failure.ts";
import { type KeySpan, readPages } from "./pages.ts";

const keysAtOnce = 100;

/** Changes on different keys, some at a time: pairs as they are at `to`, and keys without one. */
export interface ChangedKeys {
  readonly puts: readonly KeyValue[];
  readonly deletes: readonly Uint8Array[];
}

/** `from` must not be compacted. */
export async function* changesBetween(
  client: Client,
  span: KeySpan,
  from: number,
  to: number,
): AsyncGenerator<ChangedKeys, void> {
  // Nothing was there at revision 1, and 0 would be read as the newest.
  const olds = keysAt(client, span, Math.max(1, from));
  const news = keysAt(client, span, to);
  let changed: Uint8Array[] = [];
  let deletes: Uint8Array[] = [];
  let [old, young] = [await olds.next(), await news.next()];
  while (old.done !== true || young.done !== true) {
    const order = orderOf(old, young);
    if (order < 0 && old.done !== true) {
      deletes.push(old.value.key);
    }
    if (order >= 0 && young.done !== true && young.value.modRevision > from) {
      changed.push(young.value.key);
    }
    if (order <= 0) {
      old = await olds.next();
    }
    if (order >= 0) {
      young = await news.next();
    }
    if (changed.length + deletes.length >= keysAtOnce) {
      yield { puts: await pairsAt(client, changed, to), deletes };
      changed = [];
      deletes = [];
    }
  }
  yield { puts: await pairsAt(client, changed, to), deletes };
}

type Step = IteratorResult<KeyValue, undefined>;

function orderOf(old: Step, young: Step): number {
  if (old.done === true) {
    return 1;
  }
  return young.done === true ? -1 : Buffer.compare(old.value.key, young.value.key);
}

async function* keysAt(
  client: Client,
  span: KeySpan,
  revision: number,
): AsyncGenerator<KeyValue, undefined> {
  for await (const { kvs } of readPages(client, { ...span, revision, keysOnly: true })) {
    yield* kvs;
  }
}

async function pairsAt(
  client: Client,
  keys: readonly Uint8Array[],
  revision: number,
): Promise<KeyValue[]> {
  if (keys.length === 0) {
    return [];
  }
  const success = keys.map(
    (key): RequestOp => ({
      request: { kind: "requestRange", value: RangeRequest.create({ key, revision }) },
    }),
  );
  const { responses } = await orFail(client.txn({ success }));
  return responses.flatMap(({ response }) =>
    response?.kind === "responseRange" ? response.value.kvs : [],
  );
}
