// The token that calls of a user carry. Fetched when first needed, kept, and fetched anew when it
// is about to expire or a server says that it is not good any more.

import type { ErrorCode } from "../base/index.ts";
import type { ClientError } from "./client-error.ts";

/** Name and password of a user of the store. */
export interface UserOptions {
  readonly username: string;
  readonly password: string;
}

/** A JWT is replaced when this part of its remaining life is over. */
const jwtUsedUp = 0.8;

/**
 * Refusals that a new token may mend. All are made before anything is carried out, so that any call
 * may be repeated after them.
 */
const staleCodes: ReadonlySet<ErrorCode | undefined> = new Set<ErrorCode>([
  "invalidAuthToken",
  "authOldRevision",
  "userEmpty",
]);

export function isStaleToken(error: ClientError): boolean {
  return staleCodes.has(error.code);
}

/** When a JWT ends, milliseconds since the epoch; undefined for tokens that do not say. */
export function expiryOf(token: string): number | undefined {
  const [, payload, signature] = token.split(".");
  if (payload === undefined || signature === undefined) {
    return undefined;
  }
  try {
    const { exp } = JSON.parse(Buffer.from(payload, "base64url").toString()) as { exp?: unknown };
    return typeof exp === "number" ? exp * 1000 : undefined;
  } catch {
    return undefined;
  }
}

export class Tokens {
  readonly #fetch: () => Promise<string | undefined>;
  #token: string | undefined;
  #refreshAt = Number.POSITIVE_INFINITY;
  #known = false;
  #fetching: Promise<string | undefined> | undefined;

  /** `fetch` logs in; undefined when the store has no authentication at this time. */
  constructor(fetch: () => Promise<string | undefined>) {
    this.#fetch = fetch;
  }

  /** The token for a call that begins now; undefined for none. All that wait share one log-in. */
  current(): string | undefined | Promise<string | undefined> {
    if (this.#known && Date.now() < this.#refreshAt) {
      return this.#token;
    }
    this.#fetching ??= this.#renew().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  /** A server did not take `token`. */
  refuse(token: string | undefined): void {
    if (token === this.#token) {
      this.#known = false;
    }
  }

  async #renew(): Promise<string | undefined> {
    const token = await this.#fetch();
    const now = Date.now();
    const expiresAt = token === undefined ? undefined : expiryOf(token);
    this.#token = token;
    this.#known = true;
    this.#refreshAt =
      expiresAt === undefined
        ? Number.POSITIVE_INFINITY
        : now + Math.max(0, expiresAt - now) * jwtUsedUp;
    return token;
  }
}
