// JSON web tokens (RFC 7519) as etcd makes them: claims username, revision and exp, signed with
// the one algorithm that the operator chose. A token's header does not choose anything: it must
// name that algorithm, and the key was checked to be of its kind when it was read, so neither
// "none" nor a public key taken for a secret has a way in.

import {
  constants,
  createHmac,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
  timingSafeEqual,
  verify,
} from "node:crypto";
import type { Caller } from "../base/index.ts";

interface Method {
  readonly kind: "rsa" | "rsa-pss" | "ec" | "ed25519" | "hmac";
  /** Node's name; undefined where the key says it. */
  readonly digest: string | undefined;
  /** The curve that RFC 7518 section 3.4 joins to the digest. */
  readonly curve?: string;
}

const methods: Readonly<Record<string, Method>> = {
  RS256: { kind: "rsa", digest: "sha256" },
  RS384: { kind: "rsa", digest: "sha384" },
  RS512: { kind: "rsa", digest: "sha512" },
  PS256: { kind: "rsa-pss", digest: "sha256" },
  PS384: { kind: "rsa-pss", digest: "sha384" },
  PS512: { kind: "rsa-pss", digest: "sha512" },
  ES256: { kind: "ec", digest: "sha256", curve: "prime256v1" },
  ES384: { kind: "ec", digest: "sha384", curve: "secp384r1" },
  ES512: { kind: "ec", digest: "sha512", curve: "secp521r1" },
  EdDSA: { kind: "ed25519", digest: undefined },
  HS256: { kind: "hmac", digest: "sha256" },
  HS384: { kind: "hmac", digest: "sha384" },
  HS512: { kind: "hmac", digest: "sha512" },
};

/** Longer tokens are not looked at, characters. */
const tokenLengthMax = 8192;
/** Tokens remembered as verified, so that a client's next call costs no signature. */
const rememberedMax = 1024;

export interface JwtOptions {
  /** One of RFC 7518's names: RS256, ES384, PS512, EdDSA, HS256 ... */
  readonly signMethod: string;
  /** PEM; for HMAC not used. */
  readonly publicKey: Uint8Array | undefined;
  /** PEM, or the secret itself for HMAC. Without it tokens are verified, none made. */
  readonly privateKey: Uint8Array | undefined;
  readonly ttlMs: number;
}

interface Verified {
  readonly caller: Caller;
  readonly expiresMs: number;
}

export class JwtTokens {
  readonly #name: string;
  readonly #method: Method;
  readonly #secret: Buffer | undefined;
  readonly #privateKey: KeyObject | undefined;
  readonly #publicKey: KeyObject | undefined;
  readonly #ttlMs: number;
  readonly #wallMs: () => number;
  readonly #remembered = new Map<string, Verified>();

  /** Throws Error, in the operator's words and without any of the key, for one that is not fit. */
  constructor(options: JwtOptions, wallMs: () => number) {
    const method = methods[options.signMethod];
    if (!Object.hasOwn(methods, options.signMethod) || method === undefined) {
      throw new Error(`sign-method must be one of ${Object.keys(methods).join(", ")}`);
    }
    this.#name = options.signMethod;
    this.#method = method;
    this.#ttlMs = options.ttlMs;
    this.#wallMs = wallMs;
    if (method.kind === "hmac") {
      if (options.privateKey === undefined || options.privateKey.length === 0) {
        throw new Error(`${options.signMethod} needs priv-key, a file with the secret`);
      }
      this.#secret = Buffer.from(options.privateKey);
      return;
    }
    this.#privateKey = options.privateKey && readKey("priv-key", options.privateKey);
    const publicKey = options.publicKey && readKey("pub-key", options.publicKey);
    const derived = this.#privateKey && createPublicKey(this.#privateKey);
    if (publicKey !== undefined && derived !== undefined && !publicKey.equals(derived)) {
      throw new Error("pub-key and priv-key do not belong together");
    }
    this.#publicKey = publicKey ?? derived;
    if (this.#publicKey === undefined) {
      throw new Error(`${options.signMethod} needs priv-key or pub-key`);
    }
    checkKind(options.signMethod, method, this.#publicKey);
  }

  get canSign(): boolean {
    return this.#secret !== undefined || this.#privateKey !== undefined;
  }

  /** A token for `user`; only where `canSign`. */
  sign(user: string, authRevision: number): string {
    const exp = Math.floor((this.#wallMs() + this.#ttlMs) / 1000);
    const text = [
      { alg: this.#name, typ: "JWT" },
      { exp, revision: authRevision, username: user },
    ]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".");
    return `${text}.${this.#signature(text).toString("base64url")}`;
  }

  /** The caller of a token that is whole, in time and ours; undefined for any other. */
  verify(token: string): Caller | undefined {
    const nowMs = this.#wallMs();
    const known = this.#remembered.get(token);
    if (known !== undefined) {
      if (nowMs < known.expiresMs) {
        return known.caller;
      }
      this.#remembered.delete(token);
      return undefined;
    }
    const verified = this.#verify(token, nowMs);
    if (verified !== undefined) {
      if (this.#remembered.size >= rememberedMax) {
        const [oldest = ""] = this.#remembered.keys();
        this.#remembered.delete(oldest);
      }
      this.#remembered.set(token, verified);
    }
    return verified?.caller;
  }

  #verify(token: string, nowMs: number): Verified | undefined {
    const parts = token.split(".");
    const [head = "", body = "", signature = ""] = parts;
    if (parts.length !== 3 || token.length > tokenLengthMax) {
      return undefined;
    }
    const header = parseObject(head);
    if (header === undefined || header["alg"] !== this.#name || "crit" in header) {
      return undefined;
    }
    if (!this.#isSigned(`${head}.${body}`, Buffer.from(signature, "base64url"))) {
      return undefined;
    }
    const claims = parseObject(body);
    return claims === undefined ? undefined : readClaims(claims, nowMs);
  }

  #signature(text: string): Buffer {
    const { kind, digest } = this.#method;
    if (this.#secret !== undefined) {
      return createHmac(digest ?? "", this.#secret)
        .update(text)
        .digest();
    }
    const key = this.#privateKey;
    if (key === undefined) {
      throw new TypeError("a public key signs nothing");
    }
    const data = Buffer.from(text);
    if (kind === "rsa-pss") {
      const saltLength = constants.RSA_PSS_SALTLEN_DIGEST;
      return sign(digest, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });
    }
    return sign(digest, data, kind === "ec" ? { key, dsaEncoding: "ieee-p1363" } : key);
  }

  #isSigned(text: string, signature: Buffer): boolean {
    if (this.#secret !== undefined) {
      const expected = this.#signature(text);
      return expected.length === signature.length && timingSafeEqual(expected, signature);
    }
    const { kind, digest } = this.#method;
    const key = this.#publicKey as KeyObject;
    const data = Buffer.from(text);
    if (kind === "rsa-pss") {
      const saltLength = constants.RSA_PSS_SALTLEN_AUTO;
      const padding = constants.RSA_PKCS1_PSS_PADDING;
      return verify(digest, data, { key, padding, saltLength }, signature);
    }
    return verify(
      digest,
      data,
      kind === "ec" ? { key, dsaEncoding: "ieee-p1363" } : key,
      signature,
    );
  }
}

function readKey(option: string, pem: Uint8Array): KeyObject {
  try {
    const input = Buffer.from(pem);
    return option === "priv-key" ? createPrivateKey(input) : createPublicKey(input);
  } catch {
    // What the parser says may quote the file.
    throw new Error(`${option} is not a key in PEM form`);
  }
}

function checkKind(name: string, { kind, curve }: Method, key: KeyObject): void {
  const type = key.asymmetricKeyType;
  const isRsa = type === "rsa" || (kind === "rsa-pss" && type === "rsa-pss");
  const fits = kind === "rsa" || kind === "rsa-pss" ? isRsa : type === kind;
  if (!fits || (curve !== undefined && key.asymmetricKeyDetails?.namedCurve !== curve)) {
    throw new Error(`the key is of another kind than ${name} needs`);
  }
}

function parseObject(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function readClaims(claims: Record<string, unknown>, nowMs: number): Verified | undefined {
  const { username, revision, exp, nbf } = claims;
  const isNamed = typeof username === "string" && username !== "";
  if (!isNamed || typeof revision !== "number" || typeof exp !== "number") {
    return undefined;
  }
  const isWhole = Number.isSafeInteger(revision) && revision >= 1;
  const isEarly = nbf !== undefined && !(typeof nbf === "number" && nbf * 1000 <= nowMs);
  if (!isWhole || isEarly || !(exp * 1000 > nowMs)) {
    return undefined;
  }
  return { caller: { user: username, authRevision: revision }, expiresMs: exp * 1000 };
}
