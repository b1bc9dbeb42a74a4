// v3lockpb.Lock: a mutex by name. The key that Lock answers with is the lock: it lives as long as
// its lease, and a holder should give its create revision along with what it does under the lock.

import { type Revision, toRevision } from "../base/index.ts";
import type { CallContext, ReplyBytes, Service } from "../grpc/index.ts";
import { LockRequest, LockResponse, UnlockRequest, UnlockResponse } from "../wire/index.ts";
import type { ApiContext } from "./context.ts";
import type { QuotaGate } from "./quota.ts";
import {
  cancelSignal,
  contenderKey,
  createdAt,
  getOp,
  oldestOf,
  pairOf,
  prefixOf,
  putOp,
  recipeError,
  Recipes,
  unknownError,
} from "./recipes.ts";

export function lockService(api: ApiContext, quota: QuotaGate): Service {
  const recipes = (call: CallContext): Recipes => new Recipes(api, quota, call);
  return {
    name: "v3lockpb.Lock",
    methods: {
      Lock: { kind: "unary", handle: (bytes, call) => lock(api, recipes(call), bytes, call) },
      Unlock: { kind: "unary", handle: (bytes, call) => unlock(api, recipes(call), bytes) },
    },
  };
}

async function lock(
  api: ApiContext,
  recipes: Recipes,
  bytes: Uint8Array,
  call: CallContext,
): Promise<ReplyBytes> {
  const { name, lease: wanted } = LockRequest.decode(bytes);
  const signal = cancelSignal(call);
  try {
    const prefix = prefixOf(name);
    const lease = await recipes.session(wanted);
    const key = contenderKey(prefix, lease);
    const revision = await acquire(recipes, prefix, key, lease, signal);
    return LockResponse.encode({ header: api.headerMessage(revision), key });
  } catch (error) {
    throw recipeError(error);
  }
}

/** Resolves, once the key holds the lock, with the revision at which that was seen. */
async function acquire(
  recipes: Recipes,
  prefix: Uint8Array,
  key: Uint8Array,
  lease: bigint,
  signal: AbortSignal,
): Promise<Revision> {
  const get = getOp({ key });
  const owner = getOp(oldestOf(prefix));
  const result = await recipes.txn({
    compare: [createdAt(key, 0)],
    success: [putOp({ key, lease }), owner],
    failure: [get, owner],
  });
  const revision = toRevision(result.revision);
  const own = result.succeeded ? revision : (pairOf(result.responses[0])?.createRevision ?? 0);
  const holder = pairOf(result.responses[1]);
  if (holder === undefined || holder.createRevision === own) {
    return revision;
  }
  try {
    await recipes.waitForOlder(prefix, own - 1, signal);
    const mine = await recipes.first({ key });
    if (mine.pair === undefined) {
      throw unknownError("mutex: session is expired");
    }
    return mine.revision;
  } catch (error) {
    // Whoever does not wait any more must not be waited for.
    await recipes.delete(key);
    throw error;
  }
}

async function unlock(api: ApiContext, recipes: Recipes, bytes: Uint8Array): Promise<ReplyBytes> {
  const { key } = UnlockRequest.decode(bytes);
  if (key.length === 0) {
    throw unknownError("etcdserver: key is not provided");
  }
  try {
    const revision = await recipes.delete(key);
    return UnlockResponse.encode({ header: api.headerMessage(revision) });
  } catch (error) {
    throw recipeError(error);
  }
}
