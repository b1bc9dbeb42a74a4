// Signed tokens of every algorithm, and keys that do not fit. Forged tokens are in
// test/conformance/auth-sessions.test.ts.

import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { describe, expect, it } from "vitest";
import { JwtTokens } from "../../src/api/index.ts";

type Kind = "rsa" | "P-256" | "P-384" | "P-521" | "ed25519" | "secret";
const kinds: Readonly<Record<string, Kind>> = {
  RS256: "rsa",
  RS384: "rsa",
  RS512: "rsa",
  PS256: "rsa",
  PS384: "rsa",
  PS512: "rsa",
  ES256: "P-256",
  ES384: "P-384",
  ES512: "P-521",
  EdDSA: "ed25519",
  HS256: "secret",
  HS384: "secret",
  HS512: "secret",
};

function makePair(kind: Kind): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
  switch (kind) {
    case "rsa":
      return generateKeyPairSync("rsa", { modulusLength: 2048 });
    case "ed25519":
      return generateKeyPairSync("ed25519");
    default:
      return generateKeyPairSync("ec", { namedCurve: kind });
  }
}

const keys = new Map<
  Kind,
  { readonly secret: Uint8Array; readonly open: Uint8Array | undefined }
>();
for (const kind of new Set(Object.values(kinds))) {
  if (kind === "secret") {
    keys.set(kind, { secret: Buffer.from("a secret of some length"), open: undefined });
  } else {
    const { privateKey, publicKey } = makePair(kind);
    keys.set(kind, {
      secret: Buffer.from(privateKey.export({ type: "pkcs8", format: "pem" })),
      open: Buffer.from(publicKey.export({ type: "spki", format: "pem" })),
    });
  }
}

const ttlMs = 60_000;

function tokens(method: string, kind: Kind, nowMs = (): number => 0, withSecret = true): JwtTokens {
  const { secret, open } = keys.get(kind) ?? { secret: undefined, open: undefined };
  const privateKey = withSecret ? secret : undefined;
  return new JwtTokens({ signMethod: method, privateKey, publicKey: open, ttlMs }, nowMs);
}

describe.each(Object.entries(kinds))("%s", (method, kind) => {
  it("signs what it verifies, until it is too late", () => {
    let nowMs = 5_000;
    const jwt = tokens(method, kind, () => nowMs);
    const token = jwt.sign("ali\u{1f600}", 7);
    const [head = ""] = token.split(".");
    expect(JSON.parse(Buffer.from(head, "base64url").toString())).toEqual({
      alg: method,
      typ: "JWT",
    });
    const caller = { user: "ali\u{1f600}", authRevision: 7 };
    expect(jwt.verify(token)).toEqual(caller);
    nowMs += ttlMs - 1;
    expect(jwt.verify(token)).toEqual(caller);
    nowMs += 1;
    expect(jwt.verify(token)).toBeUndefined();
    expect(jwt.verify(token)).toBeUndefined();
  });

  it("takes nothing that another key or algorithm signed", () => {
    const jwt = tokens(method, kind);
    const token = jwt.sign("u", 1);
    for (const [other, otherKind] of Object.entries(kinds)) {
      expect(tokens(other, otherKind).verify(token)).toEqual(
        other === method ? { user: "u", authRevision: 1 } : undefined,
      );
    }
    const cut = `${token.slice(0, -2)}${token.endsWith("AA") ? "BB" : "AA"}`;
    expect(jwt.verify(cut)).toBeUndefined();
  });

  it("refuses keys of any other kind", () => {
    for (const [other, { secret, open }] of keys) {
      if (other === kind || kind === "secret" || other === "secret") {
        continue;
      }
      for (const [privateKey, publicKey] of [
        [secret, undefined],
        [undefined, open],
      ] as const) {
        const options = { signMethod: method, privateKey, publicKey, ttlMs };
        expect(() => new JwtTokens(options, () => 0)).toThrow(`another kind than ${method} needs`);
      }
    }
  });
});

describe("keys", () => {
  it("of which only the public one is there verify and do not sign", () => {
    const token = tokens("ES256", "P-256").sign("u", 1);
    const verifier = tokens("ES256", "P-256", () => 0, false);
    expect(verifier.canSign).toBe(false);
    expect(verifier.verify(token)).toEqual({ user: "u", authRevision: 1 });
    expect(tokens("ES256", "P-256").canSign).toBe(true);
  });

  it("that do not belong together are refused, and not shown", () => {
    const { privateKey } = makePair("P-256");
    const secret = Buffer.from(privateKey.export({ type: "pkcs8", format: "pem" }));
    const publicKey = keys.get("P-256")?.open;
    const options = { signMethod: "ES256", privateKey: secret, publicKey, ttlMs };
    expect(() => new JwtTokens(options, () => 0)).toThrow("do not belong together");
    const broken = { ...options, privateKey: Buffer.from("-----BEGIN hunter2-----") };
    expect(() => new JwtTokens(broken, () => 0)).toThrow(/^priv-key is not a key in PEM form$/);
    expect(createPrivateKey(secret).type).toBe("private");
  });

  it("must be there, for an algorithm that is known", () => {
    for (const [signMethod, message] of [
      ["HS256", "HS256 needs priv-key"],
      ["RS256", "RS256 needs priv-key or pub-key"],
      ["none", "sign-method must be one of"],
      ["", "sign-method must be one of"],
      ["constructor", "sign-method must be one of"],
    ] as const) {
      const options = { signMethod, privateKey: undefined, publicKey: undefined, ttlMs };
      expect(() => new JwtTokens(options, () => 0)).toThrow(message);
    }
  });
});
