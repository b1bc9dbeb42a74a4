// Locks with fencing tokens.
//
//   await using lock = await acquireLock(store, "jobs/nightly");
//   await store.txn().if(lock.condition()).do(store.op.put("report", text)).commit();
//
// Promises:
// - Of all who hold a name's lock by their own clock (`held`), there is one at a time, as long as
//   clocks run at about the same speed: a holder counts its lease from before its last renewal was
//   sent, so it stops believing before the store lets the next one in.
// - A process that was stopped in between (a pause, a debugger, a long collection) cannot know:
//   what it does next is refused if it is tied to the lock by `condition()`, or by whoever is
//   called comparing `token`, which only grows from holder to holder.
// - First come, first served. etcdctl lock, etcd's Lock service and etcd clients of other languages
//   wait in the same line.
//
// Costs: a lease, one write and one read to take a free lock; two writes' time until the next one
// has it. A renewal every third of the TTL, which is no write.

import { type AnyStore, Contender, type ContendOptions, Holding } from "./contender.ts";

export interface LockOptions extends ContendOptions {}

/** A lock that is held. `await using` releases it. */
export class Lock extends Holding implements AsyncDisposable {
  readonly name: string;

  /** Made by `acquireLock` and `tryLock`. */
  constructor(name: string, contender: Contender) {
    super(contender);
    this.name = name;
  }

  /** Lets the next one in. Idempotent. Rejects with ClientError; then the lease ends by itself. */
  release(): Promise<void> {
    return this.contender.leave();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release().catch(() => undefined);
  }
}

/**
 * Waits for the lock, for as long as the store is away, too. Who was out of its reach for longer
 * than the TTL while waiting waits on at the end of the line. Rejects with the signal's reason when
 * it aborts, with ClientError for what waiting cannot mend, and with HoldLostError when somebody
 * deleted the key of one who waits.
 */
export async function acquireLock(
  store: AnyStore,
  name: string,
  options: LockOptions = {},
): Promise<Lock> {
  return new Lock(name, await Contender.win(store, name, "", options));
}

/** The lock if nobody has it or waits for it now; else undefined. Rejects as acquireLock. */
export async function tryLock(
  store: AnyStore,
  name: string,
  options: LockOptions = {},
): Promise<Lock | undefined> {
  const contender = await Contender.join(store, name, "", options);
  try {
    if (await contender.isOldest(options.signal)) {
      await contender.untilOldest(options.signal);
      return new Lock(name, contender);
    }
  } catch (error) {
    await contender.leave().catch(() => undefined);
    throw error;
  }
  await contender.leave();
  return undefined;
}

/** Runs `work` under the lock; its signal aborts when the lock is lost. */
export async function withLock<T>(
  store: AnyStore,
  name: string,
  work: (lock: Lock) => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  await using lock = await acquireLock(store, name, options);
  return await work(lock);
}
