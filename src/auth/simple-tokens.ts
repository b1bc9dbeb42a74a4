// Simple tokens: random text that stands for a user, in the memory of every member. They are
// issued by commands, so all members know them; each member lets them run out by its own clock,
// counted from when it last saw them used.

interface Token {
  readonly user: string;
  /** Undefined until the clock is first looked at: commands know no time. */
  deadlineMs: number | undefined;
}

export class SimpleTokens {
  readonly #tokens = new Map<string, Token>();

  get size(): number {
    return this.#tokens.size;
  }

  issue(token: string, user: string): void {
    this.#tokens.set(token, { user, deadlineMs: undefined });
  }

  /** The token's user, and the token lives for another `ttlMs`; undefined when it is not known. */
  use(token: string, nowMs: number, ttlMs: number): string | undefined {
    const known = this.#tokens.get(token);
    if (known === undefined) {
      return undefined;
    }
    if (known.deadlineMs !== undefined && known.deadlineMs <= nowMs) {
      this.#tokens.delete(token);
      return undefined;
    }
    known.deadlineMs = nowMs + ttlMs;
    return known.user;
  }

  /** Forgets what ran out; called now and then. */
  expire(nowMs: number, ttlMs: number): void {
    for (const [token, known] of this.#tokens) {
      if (known.deadlineMs === undefined) {
        known.deadlineMs = nowMs + ttlMs;
      } else if (known.deadlineMs <= nowMs) {
        this.#tokens.delete(token);
      }
    }
  }

  dropUser(user: string): void {
    for (const [token, known] of this.#tokens) {
      if (known.user === user) {
        this.#tokens.delete(token);
      }
    }
  }

  clear(): void {
    this.#tokens.clear();
  }
}
