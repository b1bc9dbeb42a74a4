// Records, tokens and who is nobody; what changes do is told in test/scripts/auth.

import { describe, expect, it } from "vitest";
import {
  AssertionError,
  CorruptionError,
  emptyBytes,
  must,
  nobody,
  system,
  utf8,
} from "../../src/base/index.ts";
import { authKey, AuthStore, roleRange, userRange } from "../../src/auth/index.ts";
import type { BatchOperation, Row } from "../../src/storage/engine.ts";
import { PermissionType } from "../../src/wire/index.ts";

class Records {
  readonly #rows = new Map<string, Row>();

  write(operations: readonly BatchOperation[]): void {
    for (const operation of operations) {
      const id = Buffer.from(operation.key).toString("latin1");
      if (operation.kind === "put") {
        this.#rows.set(id, [operation.key, operation.value]);
      } else {
        this.#rows.delete(id);
      }
    }
  }

  get rows(): Row[] {
    return [...this.#rows.keys()].sort().map((id) => must(this.#rows.get(id)));
  }

  open(): AuthStore {
    const auth = new AuthStore();
    const inRange = ({ from, to }: { from: Uint8Array; to: Uint8Array }): Row[] =>
      this.rows.filter(([key]) => key[0] === from[0] && must(key[0]) < must(to[0]));
    auth.load(this.rows.find(([key]) => Buffer.compare(key, authKey) === 0)?.[1]);
    auth.loadRoles(inRange(roleRange));
    auth.loadUsers(inRange(userRange));
    return auth;
  }
}

function grant(auth: AuthStore, role: string, key: string, end: string): void {
  auth.grantPermission(role, {
    permType: PermissionType.READWRITE,
    key: utf8(key),
    rangeEnd: utf8(end),
  });
}

/** Everything that can be asked of it, as text. */
function shown(auth: AuthStore): string {
  const users = auth.userNames().map((name) => auth.user(name));
  const roles = auth.roleNames().map((name) => auth.role(name));
  return JSON.stringify({ on: auth.enabled, revision: auth.revision, users, roles }, (_, value) =>
    value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : (value as unknown),
  );
}

describe("records", () => {
  it("hold everything, change by change", () => {
    const auth = new AuthStore();
    const records = new Records();
    expect(auth.collectDirty()).toEqual([]);
    const steps: (() => unknown)[] = [
      () => auth.addUser("root", utf8("hash"), false),
      () => auth.addUser("été", emptyBytes, true),
      () => auth.addRole("r"),
      () => grant(auth, "r", "b", "c"),
      () => grant(auth, "r", "a", "\0"),
      () => auth.grantRole("root", "root"),
      () => auth.grantRole("été", "r"),
      () => auth.enable(),
      () => auth.changePassword("root", utf8("other")),
      () => auth.revokePermission("r", utf8("b"), utf8("c")),
      () => auth.addUser("gone", utf8("x"), false),
      () => auth.deleteUser("gone"),
      () => auth.deleteRole("r"),
      () => auth.disable(),
    ];
    for (const step of steps) {
      step();
      records.write(auth.collectDirty());
      expect(auth.collectDirty()).toEqual([]);
      expect(shown(records.open())).toBe(shown(auth));
    }
    expect(records.rows.map(([key]) => Buffer.from(key).toString())).toEqual([
      "e",
      "uroot",
      "uété",
    ]);
  });

  it("that were damaged are not taken, and what they hold is not shown", () => {
    const auth = new AuthStore();
    auth.addUser("alice", utf8("$2a$10$secret"), false);
    const [, user] = auth.collectDirty();
    const value = user?.kind === "put" ? user.value : emptyBytes;
    for (const row of [
      [utf8("ubob"), value],
      [utf8("ualice"), value.subarray(0, value.length - 1)],
    ] as Row[]) {
      let thrown: unknown;
      try {
        new AuthStore().loadUsers([row]);
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(CorruptionError);
      expect(String(thrown)).not.toContain("secret");
      expect(thrown).not.toBeInstanceOf(AssertionError);
    }
  });
});

describe("simple tokens", () => {
  function withToken(): AuthStore {
    const auth = new AuthStore();
    for (const name of ["root", "alice"]) {
      auth.addUser(name, utf8("hash"), false);
    }
    auth.grantRole("root", "root");
    auth.enable();
    expect(auth.issueToken("alice", "T.1", auth.revision)).toBeUndefined();
    expect(auth.issueToken("root", "R.2", auth.revision)).toBeUndefined();
    return auth;
  }

  it("live while they are used, and no longer", () => {
    const { tokens } = withToken();
    expect(tokens.use("T.1", 1_000, 300)).toBe("alice");
    expect(tokens.use("T.1", 1_299, 300)).toBe("alice");
    expect(tokens.use("T.1", 1_599, 300)).toBeUndefined();
    expect(tokens.use("T.1", 1_000, 300)).toBeUndefined();
    expect(tokens.use("no.1", 0, 300)).toBeUndefined();
  });

  it("that nobody uses here run out too", () => {
    const { tokens } = withToken();
    tokens.expire(1_000, 300);
    tokens.expire(1_299, 300);
    expect(tokens.size).toBe(2);
    tokens.expire(1_300, 300);
    expect(tokens.size).toBe(0);
  });

  it("go with a password, a user, and with authentication", () => {
    const changed = withToken();
    changed.changePassword("alice", utf8("new"));
    expect(changed.tokens.use("T.1", 0, 1)).toBeUndefined();
    expect(changed.tokens.use("R.2", 0, 1)).toBe("root");
    const deleted = withToken();
    deleted.deleteUser("alice");
    expect(deleted.tokens.use("T.1", 0, 1)).toBeUndefined();
    const off = withToken();
    off.disable();
    expect(off.tokens.size).toBe(0);
  });

  it("are not issued for a password of before", () => {
    const auth = withToken();
    const seen = auth.revision;
    auth.changePassword("alice", utf8("new"));
    expect(auth.issueToken("alice", "T.9", seen)).toBe("authOldRevision");
    expect(auth.tokens.use("T.9", 0, 1)).toBeUndefined();
  });
});

describe("callers", () => {
  it("that are nobody may do nothing, and the cluster everything", () => {
    const auth = new AuthStore();
    const key = utf8("k");
    expect(auth.checkWrite(undefined, key, emptyBytes)).toBeUndefined();
    auth.addUser("root", utf8("hash"), false);
    auth.grantRole("root", "root");
    auth.enable();
    for (const caller of [undefined, nobody]) {
      expect(auth.checkRead(caller, key, emptyBytes)).toBe("userEmpty");
      expect(auth.checkWrite(caller, key, emptyBytes)).toBe("userEmpty");
      expect(auth.checkRoot(caller)).toBe("userEmpty");
      expect(auth.checkLogin(caller)).toBe("userEmpty");
    }
    expect(auth.checkWrite(system, key, emptyBytes)).toBeUndefined();
    expect(auth.checkRoot(system)).toBeUndefined();
    const root = { user: "root", authRevision: auth.revision };
    expect(auth.checkRead(root, key, Uint8Array.of(0))).toBeUndefined();
    const stale = { user: "root", authRevision: auth.revision - 1 };
    expect(auth.checkRead(stale, key, emptyBytes)).toBe("authOldRevision");
    // A name that is nobody's, at a revision that no token gives: still not the cluster.
    const forged = { user: "x", authRevision: Number.MAX_SAFE_INTEGER };
    expect(auth.checkWrite(forged, key, emptyBytes)).toBe("permissionDenied");
    expect(auth.checkRoot(forged)).toBe("userNotFound");
  });
});
