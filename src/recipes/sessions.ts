// Sessions with a time to live, for web servers of which any may answer.
//
//   const sessions = new Sessions<{ user: string }>(store, { ttlSeconds: 1800 });
//   await sessions.set(id, { user: "ada" });
//   await sessions.get(id);                   // undefined when its time is over
//   await sessions.touch(id);                 // the time begins anew
//
// express-sessions.ts and fastify-sessions.ts make stores of it for those frameworks.
//
// Promises: a session is there until its time has passed since it was last set or touched,
// whichever member is asked and whoever leads; a change of leader may lengthen a session's life by
// one time to live, and never shortens it. After its time it is gone from every member within a
// second (while there is a leader). Reads are linearizable: what was set by one server is seen by
// the next.
//
// Costs: a new session is a read, a lease and a write; a changed one a read, a write and a renewal;
// a touched one a read and a renewal, which is no write; a read is a read. Every session is a lease
// of its own: the store holds some hundred bytes more for each.

import { type Codec, type Entry, json, type Quorate } from "../sdk/index.ts";
import { type CallOptions, LeaseNotFoundError } from "../client/index.ts";
import type { AnyStore } from "./contender.ts";
import { untilAnswered } from "./patience.ts";

export interface SessionsOptions<D> {
  /** Before every session's key; "sessions/" unless told. */
  readonly prefix?: string | undefined;
  /** Seconds that a session lives when it is not touched; 86,400 unless told. */
  readonly ttlSeconds?: number | undefined;
  /** How a session's data is written; JSON, unchecked, unless told (`schema(...)` checks). */
  readonly codec?: Codec<D> | undefined;
  /** Milliseconds for which a call goes on while members do not answer; 10,000 unless told. */
  readonly patienceMs?: number | undefined;
}

const ttlSecondsDefault = 86_400;
const patienceMsDefault = 10_000;
const attemptsMax = 20;

/** All calls reject with ClientError, or InvalidValueError for data that the codec refuses. */
export class Sessions<D = Record<string, unknown>> {
  readonly #store: Quorate<D>;
  readonly #ttlSeconds: number;
  readonly #patienceMs: number;

  constructor(store: AnyStore, options: SessionsOptions<D> = {}) {
    const { prefix = "sessions/", ttlSeconds = ttlSecondsDefault, codec = json<D>() } = options;
    if (!(ttlSeconds > 0)) {
      throw new RangeError(`ttlSeconds must be above 0 (not ${ttlSeconds})`);
    }
    this.#store = store.namespace(prefix).withCodec(codec);
    this.#ttlSeconds = ttlSeconds;
    this.#patienceMs = options.patienceMs ?? patienceMsDefault;
  }

  /** The data of a session; undefined if there is none or its time is over. */
  async get(id: string): Promise<D | undefined> {
    return (await this.#entry(id))?.value;
  }

  /** Sets a session's data, and begins its time anew; `ttlSeconds` is for a session that is new. */
  async set(id: string, data: D, ttlSeconds = this.#ttlSeconds): Promise<void> {
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const entry = await this.#entry(id);
      const isSet =
        entry === undefined
          ? await this.#make(id, data, ttlSeconds)
          : await this.#replace(entry, data);
      if (isSet) {
        return;
      }
    }
    throw new Error(`session ${id} was changed by others again and again`);
  }

  /** Begins a session's time anew; false if there is none. */
  async touch(id: string): Promise<boolean> {
    const entry = await this.#entry(id);
    return entry !== undefined && (await this.#renew(entry));
  }

  /** Ends a session; false if there was none. */
  async destroy(id: string): Promise<boolean> {
    const entry = await this.#entry(id);
    if (entry?.leaseId === undefined) {
      const { deleted } = await this.#patiently((call) => this.#store.delete(id, call));
      return deleted > 0;
    }
    const { leaseId } = entry;
    await this.#patiently((call) => this.#revoke(leaseId, call));
    return true;
  }

  /** How many sessions there are. */
  count(): Promise<number> {
    return this.#patiently((call) => this.#store.count({ prefix: "" }, call));
  }

  #entry(id: string): Promise<Entry<D> | undefined> {
    return this.#patiently((call) => this.#store.get(id, call));
  }

  /**
   * False when it was changed or ended meanwhile. Tied to what it replaces: a request that arrives
   * late must not bring old data back.
   */
  async #replace(entry: Entry<D>, data: D): Promise<boolean> {
    const { key, modRevision } = entry;
    const done = await this.#patiently((call) =>
      this.#store
        .txn()
        .if(this.#store.when(key).modRevision("=", modRevision))
        .do(this.#store.op.put(key, data, { keepLease: true }))
        .commit(call),
    );
    return done.succeeded && (await this.#renew(entry));
  }

  /** False when somebody else has made it meanwhile. */
  async #make(id: string, data: D, ttlSeconds: number): Promise<boolean> {
    const lease = await this.#patiently((call) =>
      this.#store.client.leaseGrant({ ttl: Math.ceil(ttlSeconds) }, call),
    );
    const done = await this.#patiently((call) =>
      this.#store
        .txn()
        .if(this.#store.when(id).absent())
        .do(this.#store.op.put(id, data, { lease: lease.id }))
        .else(this.#store.op.get(id))
        .commit(call),
    ).catch((error: unknown) => {
      // The lease ended before the session began.
      if (error instanceof LeaseNotFoundError) {
        return undefined;
      }
      throw error;
    });
    if (done === undefined) {
      return false;
    }
    // A session that is there with this lease is ours: only the answer was lost.
    if (!done.succeeded && done.results[0]?.leaseId !== lease.id) {
      await this.#revoke(lease.id, {}).catch(() => undefined);
      return false;
    }
    return true;
  }

  async #renew({ leaseId }: Entry<D>): Promise<boolean> {
    if (leaseId === undefined) {
      return true;
    }
    const reply = await this.#patiently((call) =>
      this.#store.client.leaseKeepAliveOnce(leaseId, call),
    );
    return reply.ttl > 0;
  }

  async #revoke(leaseId: bigint, call: CallOptions): Promise<void> {
    try {
      await this.#store.client.leaseRevoke(leaseId, call);
    } catch (error) {
      if (!(error instanceof LeaseNotFoundError)) {
        throw error;
      }
    }
  }

  #patiently<T>(work: (call: CallOptions) => Promise<T>): Promise<T> {
    return untilAnswered(work, AbortSignal.timeout(this.#patienceMs));
  }
}
