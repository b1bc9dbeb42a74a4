// Writing on all keys of a lease is decided by the gaps between grants, not key by key: the answer
// is that of a walk over the keys, and its cost does not depend on how many there are.

import { expect, test } from "vitest";
import { AuthStore } from "../../src/auth/index.ts";
import { compareBytes, emptyBytes, fromUtf8, must, SeededRng, utf8 } from "../../src/base/index.ts";
import type { Caller } from "../../src/base/index.ts";
import { PermissionType } from "../../src/wire/index.ts";

const alphabet = ["", "a", "b", "c", "\u0000"] as const;

function text(rng: SeededRng, lengthMax: number): string {
  const letter = (): string => must(alphabet[rng.below(alphabet.length)]);
  return Array.from({ length: 1 + rng.below(lengthMax) }, letter).join("") || "a";
}

function storeOf(grants: readonly (readonly [key: string, end: string])[]): AuthStore {
  const auth = new AuthStore();
  auth.addUser("root", emptyBytes, true);
  auth.grantRole("root", "root");
  auth.addUser("user", emptyBytes, true);
  auth.addRole("role");
  auth.grantRole("user", "role");
  for (const [key, end] of grants) {
    const permission = { key: utf8(key), rangeEnd: utf8(end) };
    auth.grantPermission("role", { permType: PermissionType.WRITE, ...permission });
  }
  expect(auth.enable()).toBeUndefined();
  return auth;
}

test("the gaps give the answer of a walk, whatever the grants and keys", () => {
  for (let seed = 1; seed <= 500; seed++) {
    const rng = new SeededRng(seed);
    const ends = (): string => (rng.below(3) === 0 ? "" : rng.below(4) === 0 ? "\0" : text(rng, 3));
    const grants = Array.from({ length: rng.below(5) }, () => [text(rng, 2), ends()] as const);
    const auth = storeOf(grants.filter(([key, end]) => end === "" || end === "\0" || key < end));
    const caller: Caller = { user: "user", authRevision: auth.revision };
    const keys = Array.from({ length: rng.below(4) }, () => utf8(text(rng, 3)));
    const refusals = keys.map((key) => auth.checkWrite(caller, key, emptyBytes));
    const walked = refusals.find((refusal) => refusal !== undefined);
    const decided = auth.checkWriteAll(caller, (begin, end) =>
      keys.some(
        (key) => compareBytes(key, begin) >= 0 && (end === undefined || compareBytes(key, end) < 0),
      ),
    );
    expect([seed, decided]).toEqual([seed, walked]);
  }
});

test("it asks once for each gap, and not at all for those who may do everything", () => {
  const auth = storeOf([
    ["a", "b"],
    ["c", "d"],
    ["e", "\0"],
  ]);
  const asked: string[] = [];
  const hasKeyIn = (begin: Uint8Array, end: Uint8Array | undefined): boolean => {
    asked.push(`${fromUtf8(begin)}..${end === undefined ? "" : fromUtf8(end)}`);
    return begin.length === 0 && end === undefined;
  };
  const revision = auth.revision;
  expect(auth.checkWriteAll({ user: "user", authRevision: revision }, hasKeyIn)).toBeUndefined();
  expect(asked).toEqual(["..", "..a", "b..c", "d..e"]);
  asked.length = 0;
  expect(auth.checkWriteAll({ user: "root", authRevision: revision }, hasKeyIn)).toBeUndefined();
  expect(asked).toEqual([".."]);
  const old = { user: "user", authRevision: revision - 1 };
  expect(auth.checkWriteAll(old, hasKeyIn)).toBe("authOldRevision");
  expect(auth.checkWriteAll({ user: "", authRevision: 0 }, hasKeyIn)).toBe("userEmpty");
  expect(auth.checkWriteAll(old, () => false)).toBeUndefined();
});
