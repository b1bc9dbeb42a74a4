// From a name and a password to a token.
//
// The password is compared with the hash of one moment, at one auth revision; the token is issued
// by a command that is void if users changed since, so that a password changed meanwhile gives no
// token (and the comparison is made again). Signed tokens carry the revision themselves.
//
// Guessing: one comparison at a time on a member; a name that does not exist costs one too; after
// five failures in ten seconds an address must wait. A password found right is remembered for some
// minutes, as a keyed digest and only together with the hash it fits: clients that log in often
// need no bcrypt, and one that knows its password does not wait for others at its address.

import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { fromUtf8, QuorateError, utf8 } from "../base/index.ts";
import type { CallContext } from "../grpc/index.ts";
import { TokenIssue } from "../wire/index.ts";
import type { ApiContext } from "./context.ts";
import { expectKind } from "./errors.ts";
import { bcryptCostDefault, passwordBytesMax } from "./password-hasher.ts";
import { digestOf, randomLetters } from "./simple-token.ts";

const failuresMax = 5;
const failuresWindowMs = 10_000;
const addressesMax = 10_000;
const rememberedMax = 1_000;
const rememberedMs = 300_000;
/** Users may change while a password is compared; not this often. */
const attemptsMax = 8;

interface Remembered {
  readonly hash: string;
  readonly digest: Buffer;
  readonly untilMs: number;
}

interface Seen {
  readonly revision: number;
  /** Undefined where there is no such user or it has no password. */
  readonly hash: string | undefined;
}

export class Login {
  readonly #api: ApiContext;
  /** A hash that no password has, to be compared with where there is no user. */
  readonly #strangersHash: string;
  readonly #key = randomBytes(32);
  readonly #remembered = new Map<string, Remembered>();
  /** By address, the times of its last failures. */
  readonly #failures = new Map<string, number[]>();

  constructor(api: ApiContext) {
    this.#api = api;
    const cost = String(api.options.bcryptCost ?? bcryptCostDefault).padStart(2, "0");
    this.#strangersHash = `$2b$${cost}$${"q".repeat(21)}u${"q".repeat(31)}`;
  }

  /** Resolves with a token; rejects with etcd's errors. */
  async authenticate(name: string, password: string, call: CallContext): Promise<string> {
    for (let attempt = 1; ; attempt++) {
      const seen = await this.#look(name);
      await this.#verify(name, password, seen.hash, call);
      try {
        return await this.#issue(name, seen.revision);
      } catch (error) {
        const isOld = error instanceof QuorateError && error.code === "authOldRevision";
        if (!isOld || attempt >= attemptsMax) {
          throw error;
        }
      }
    }
  }

  async #look(name: string): Promise<Seen> {
    return await this.#api.handle.read(true, ({ auth }) => {
      if (!auth.enabled) {
        throw new QuorateError("authNotEnabled");
      }
      const user = auth.user(name);
      if (user?.noPassword === true) {
        throw new QuorateError("noPasswordUser");
      }
      const hash = user === undefined ? "" : fromUtf8(user.passwordHash);
      return { revision: auth.revision, hash: hash === "" ? undefined : hash };
    });
  }

  async #verify(
    name: string,
    password: string,
    hash: string | undefined,
    call: CallContext,
  ): Promise<void> {
    if (hash !== undefined && this.#isRemembered(name, password, hash)) {
      return;
    }
    const address = addressOf(call);
    const isRight = await this.#compare(password, hash ?? this.#strangersHash, address, call);
    if (!isRight || hash === undefined) {
      this.#fail(address);
      this.#api.logger.warn({ user: name, address }, "a login failed");
      throw new QuorateError("authFailed");
    }
    this.#remember(name, password, hash);
  }

  /** Rejects with tooManyRequests for an address that must wait, if only since it stood in line. */
  async #compare(
    password: string,
    hash: string,
    address: string,
    call: CallContext,
  ): Promise<boolean> {
    this.#checkFailures(address);
    let mustWait = false;
    const isWanted = (): boolean => {
      mustWait = this.#recentFailures(address).length >= failuresMax;
      return !mustWait && !call.cancelled;
    };
    const isPossible = password !== "" && utf8(password).length <= passwordBytesMax;
    try {
      return (await this.#api.passwords.compare(password, hash, isWanted)) && isPossible;
    } catch (error) {
      throw mustWait ? new QuorateError("tooManyRequests") : error;
    }
  }

  #checkFailures(address: string): void {
    if (this.#recentFailures(address).length >= failuresMax) {
      throw new QuorateError("tooManyRequests");
    }
  }

  async #issue(name: string, authRevision: number): Promise<string> {
    const { jwt, handle } = this.#api;
    if (jwt !== undefined) {
      if (!jwt.canSign) {
        throw new QuorateError("verifyOnly");
      }
      return jwt.sign(name, authRevision);
    }
    const letters = randomLetters();
    const prefix = digestOf(letters);
    const body = TokenIssue.encode({ name, prefix, authRevision });
    const { token } = expectKind(await handle.propose("tokenIssue", body), "token");
    return letters + token.slice(prefix.length);
  }

  #digest(password: string): Buffer {
    return createHmac("sha256", this.#key).update(password).digest();
  }

  #isRemembered(name: string, password: string, hash: string): boolean {
    const known = this.#remembered.get(name);
    if (known === undefined || known.untilMs <= this.#api.clock.monotonicMs()) {
      this.#remembered.delete(name);
      return false;
    }
    return known.hash === hash && timingSafeEqual(known.digest, this.#digest(password));
  }

  #remember(name: string, password: string, hash: string): void {
    dropOldest(this.#remembered, rememberedMax);
    const untilMs = this.#api.clock.monotonicMs() + rememberedMs;
    this.#remembered.set(name, { hash, digest: this.#digest(password), untilMs });
  }

  #recentFailures(address: string): number[] {
    const sinceMs = this.#api.clock.monotonicMs() - failuresWindowMs;
    const recent = (this.#failures.get(address) ?? []).filter((time) => time > sinceMs);
    if (recent.length === 0) {
      this.#failures.delete(address);
    }
    return recent;
  }

  #fail(address: string): void {
    const recent = this.#recentFailures(address).slice(1 - failuresMax);
    dropOldest(this.#failures, addressesMax);
    this.#failures.set(address, [...recent, this.#api.clock.monotonicMs()]);
  }
}

/** Makes room for one more. */
function dropOldest(map: Map<string, unknown>, sizeMax: number): void {
  if (map.size >= sizeMax) {
    const [oldest = ""] = map.keys();
    map.delete(oldest);
  }
}

/** Without the port, which a client may change at will. */
function addressOf(call: CallContext): string {
  return call.peer.address.replace(/:\d+$/, "");
}
