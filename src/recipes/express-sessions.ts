// A store for express-session, kept by Sessions.
//
//   import session from "express-session";
//   app.use(session({ store: expressSessionStore(session.Store, new Sessions(store)), ... }));
//
// The class is the application's own, so that nothing here depends on express-session. What the
// cookie says of its age is the session's time to live; sessions whose cookies have none live as
// long as Sessions says. `touch` renews without a write, so `resave: false` is right.

import type { Sessions } from "./sessions.ts";

/** The part of a session that a store looks at. */
interface SessionData {
  readonly cookie: { readonly originalMaxAge?: number | null | undefined };
}

type Callback<T = void> = (error?: unknown, result?: T) => void;

/** What express-session asks of a store (its README, "Session Store Implementation"). */
interface StoreMethods {
  get(id: string, callback: Callback<unknown>): void;
  set(id: string, data: SessionData, callback?: Callback): void;
  touch(id: string, data: SessionData, callback?: Callback): void;
  destroy(id: string, callback?: Callback): void;
  length(callback: Callback<number>): void;
}

/** `Base` is the `Store` of express-session. */
export function expressSessionStore<Base extends object>(
  Base: abstract new () => Base,
  // The data is what express-session makes of it: JSON with a cookie in it.
  sessions: Sessions<never> | Sessions,
): Base & StoreMethods {
  const kept = sessions as Sessions<SessionData>;
  // A mixin's constructor must take any arguments; a Store takes none.
  const StoreBase = Base as unknown as new () => object;
  class QuorateStore extends StoreBase implements StoreMethods {
    get(id: string, callback: Callback<unknown>): void {
      answer(kept.get(id), (error, data) => callback(error, data ?? null));
    }

    set(id: string, data: SessionData, callback: Callback = () => {}): void {
      const ageMs = data.cookie.originalMaxAge ?? undefined;
      answer(kept.set(id, data, ageMs === undefined ? undefined : ageMs / 1000), callback);
    }

    touch(id: string, _data: SessionData, callback: Callback = () => {}): void {
      answer(
        kept.touch(id).then(() => undefined),
        callback,
      );
    }

    destroy(id: string, callback: Callback = () => {}): void {
      answer(
        kept.destroy(id).then(() => undefined),
        callback,
      );
    }

    length(callback: Callback<number>): void {
      answer(kept.count(), callback);
    }
  }
  return new QuorateStore() as unknown as Base & StoreMethods;
}

/** Outside the promise: what the callback throws is its own affair, not a rejection. */
export function answer<T>(work: Promise<T>, callback: Callback<T>): void {
  work.then(
    (result) => setImmediate(callback, null, result),
    (error: unknown) => setImmediate(callback, error),
  );
}
