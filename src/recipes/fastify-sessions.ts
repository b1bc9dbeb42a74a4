// A store for @fastify/session, kept by Sessions.
//
//   await app.register(fastifyCookie);
//   const sessionStore = fastifySessionStore(new Sessions(store));
//   await app.register(fastifySession, { store: sessionStore, secret });
//
// @fastify/session saves a session after each request that changed it (or, with `rolling`, its
// expiry), and that begins its time anew. The cookie's age is the session's time to live; without
// one it lives as long as Sessions says.

import { answer } from "./express-sessions.ts";
import type { Sessions } from "./sessions.ts";

interface SessionData {
  readonly cookie?: { readonly originalMaxAge?: number | null | undefined } | undefined;
}

/** What @fastify/session asks of a store. */
export interface FastifySessionStore {
  get(id: string, callback: (error: unknown, session?: never) => void): void;
  set(id: string, session: object, callback: (error?: unknown) => void): void;
  destroy(id: string, callback: (error?: unknown) => void): void;
}

export function fastifySessionStore(sessions: Sessions): FastifySessionStore {
  return {
    get(id, callback) {
      answer(sessions.get(id), (error, data) => callback(error, (data ?? null) as never));
    },
    set(id, session, callback) {
      const { cookie } = session as SessionData;
      const ageMs = cookie?.originalMaxAge ?? undefined;
      const ttlSeconds = ageMs === undefined ? undefined : ageMs / 1000;
      // As JSON has it: a session object's methods are not data.
      const data = JSON.parse(JSON.stringify(session)) as Record<string, unknown>;
      answer(sessions.set(id, data, ttlSeconds), callback);
    },
    destroy(id, callback) {
      answer(
        sessions.destroy(id).then(() => undefined),
        callback,
      );
    },
  };
}
