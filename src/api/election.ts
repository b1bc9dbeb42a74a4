// v3electionpb.Election: a leader by name, with a value that it proclaims. The oldest key under the
// name leads; its create revision guards every later step of that leader.

import { equalBytes, type Revision, toRevision } from "../base/index.ts";
import type { CallContext, ReplyBytes, Service, StreamCall } from "../grpc/index.ts";
import {
  CampaignRequest,
  CampaignResponse,
  Event,
  type KeyValue,
  LeaderRequest,
  LeaderResponse,
  type LeaderKey,
  ProclaimRequest,
  ProclaimResponse,
  ResignRequest,
  ResignResponse,
} from "../wire/index.ts";
import type { ApiContext } from "./context.ts";
import { toRpcError } from "./errors.ts";
import type { QuotaGate } from "./quota.ts";
import {
  cancelSignal,
  contenderKey,
  createdAt,
  deleteOp,
  getOp,
  pairOf,
  prefixOf,
  prefixRange,
  putOp,
  recipeError,
  Recipes,
  unknownError,
} from "./recipes.ts";

export function electionService(api: ApiContext, quota: QuotaGate): Service {
  const election = (call: CallContext): Election => new Election(api, quota, call);
  return {
    name: "v3electionpb.Election",
    methods: {
      Campaign: { kind: "unary", handle: (bytes, call) => election(call).campaign(bytes, call) },
      Proclaim: { kind: "unary", handle: (bytes, call) => election(call).proclaim(bytes) },
      Leader: { kind: "unary", handle: (bytes, call) => election(call).leader(bytes) },
      Observe: { kind: "stream", handle: (call) => election(call).observe(call) },
      Resign: { kind: "unary", handle: (bytes, call) => election(call).resign(bytes) },
    },
  };
}

/** A pair as its observers get it, and the revision of its header. */
interface Observed {
  readonly pair: KeyValue;
  readonly revision: Revision;
}

class Election {
  readonly #api: ApiContext;
  readonly #recipes: Recipes;

  constructor(api: ApiContext, quota: QuotaGate, call: CallContext) {
    this.#api = api;
    this.#recipes = new Recipes(api, quota, call);
  }

  async campaign(bytes: Uint8Array, call: CallContext): Promise<ReplyBytes> {
    const { name, lease: wanted, value } = CampaignRequest.decode(bytes);
    const signal = cancelSignal(call);
    try {
      const prefix = prefixOf(name);
      const lease = await this.#recipes.session(wanted);
      const key = contenderKey(prefix, lease);
      const result = await this.#recipes.txn({
        compare: [createdAt(key, 0)],
        success: [putOp({ key, value, lease })],
        failure: [getOp({ key })],
      });
      const before = result.succeeded ? undefined : pairOf(result.responses[0]);
      const rev = before?.createRevision ?? result.revision;
      const leader = { name, key, rev, lease: BigInt.asIntN(64, lease) };
      await this.#stand(prefix, leader, before, value, signal);
      const header = this.#api.headerMessage(result.revision);
      return CampaignResponse.encode({ header, leader });
    } catch (error) {
      throw recipeError(error);
    }
  }

  /** Brings the value up to date where the contender stood already, then waits for its turn. */
  async #stand(
    prefix: Uint8Array,
    leader: LeaderKey,
    before: KeyValue | undefined,
    value: Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      if (before !== undefined && !equalBytes(before.value, value)) {
        await this.#proclaim(leader, value);
      }
      await this.#recipes.waitForOlder(prefix, leader.rev - 1, signal);
    } catch (error) {
      // A client that has gone must not come to lead.
      if (signal.aborted) {
        await this.#resign(leader);
      }
      throw error;
    }
  }

  async proclaim(bytes: Uint8Array): Promise<ReplyBytes> {
    const { leader, value } = ProclaimRequest.decode(bytes);
    try {
      const revision = await this.#proclaim(required(leader), value);
      return ProclaimResponse.encode({ header: this.#api.headerMessage(revision) });
    } catch (error) {
      throw recipeError(error);
    }
  }

  async #proclaim(leader: LeaderKey, value: Uint8Array): Promise<number> {
    const lease = await this.#recipes.session(leader.lease);
    const result = await this.#recipes.txn({
      compare: [createdAt(leader.key, leader.rev)],
      success: [putOp({ key: leader.key, value, lease })],
    });
    if (!result.succeeded) {
      throw unknownError("election: not leader");
    }
    return result.revision;
  }

  async resign(bytes: Uint8Array): Promise<ReplyBytes> {
    const { leader } = ResignRequest.decode(bytes);
    try {
      const revision = await this.#resign(required(leader));
      return ResignResponse.encode({ header: this.#api.headerMessage(revision) });
    } catch (error) {
      throw recipeError(error);
    }
  }

  async #resign(leader: LeaderKey): Promise<number> {
    const result = await this.#recipes.txn({
      compare: [createdAt(leader.key, leader.rev)],
      success: [deleteOp(leader.key)],
    });
    return result.revision;
  }

  async leader(bytes: Uint8Array): Promise<ReplyBytes> {
    const { name } = LeaderRequest.decode(bytes);
    try {
      const { pair, revision } = await this.#recipes.oldest(prefixOf(name));
      if (pair === undefined) {
        throw unknownError("election: no leader");
      }
      return this.#leaderResponse({ pair, revision });
    } catch (error) {
      throw recipeError(error);
    }
  }

  observe(call: StreamCall): void {
    const signal = cancelSignal(call);
    call.onMessage((bytes) => {
      this.#observe(bytes, call, signal).catch((error: unknown) => {
        call.end(toRpcError(recipeError(error), this.#api.logger));
      });
    });
  }

  /** Sends each leader and each value it proclaims, until the client goes. */
  async #observe(bytes: Uint8Array, call: StreamCall, signal: AbortSignal): Promise<void> {
    const prefix = prefixOf(LeaderRequest.decode(bytes).name);
    for (;;) {
      const { pair, revision } = await this.#recipes.oldest(prefix);
      const current =
        pair === undefined ? await this.#nextLeader(prefix, revision, signal) : { pair, revision };
      if (current === undefined) {
        continue;
      }
      call.write(this.#leaderResponse(current));
      await this.#recipes.watch(
        { key: current.pair.key },
        current.revision,
        signal,
        (events, eventsRevision) => {
          for (const { event } of events) {
            if (event.kind === "delete") {
              return true;
            }
            const { kv } = Event.decode(event.message);
            if (kv !== undefined) {
              call.write(this.#leaderResponse({ pair: kv, revision: eventsRevision }));
            }
          }
          return undefined;
        },
      );
    }
  }

  /** The first pair put under a prefix after `revision`. */
  #nextLeader(
    prefix: Uint8Array,
    revision: Revision,
    signal: AbortSignal,
  ): Promise<Observed | undefined> {
    return this.#recipes.watch(prefixRange(prefix), revision, signal, (events) => {
      const put = events.find(({ event }) => event.kind === "put");
      const pair = put === undefined ? undefined : Event.decode(put.event.message).kv;
      return pair === undefined ? undefined : { pair, revision: toRevision(pair.modRevision) };
    });
  }

  #leaderResponse({ pair, revision }: Observed): Uint8Array {
    return LeaderResponse.encode({ header: this.#api.headerMessage(revision), kv: pair });
  }
}

function required(leader: LeaderKey | undefined): LeaderKey {
  if (leader === undefined) {
    throw unknownError('"leader" field must be provided');
  }
  return leader;
}
