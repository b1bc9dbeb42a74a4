// From a password to a token on a node that is not there: what is compared, how often, and what
// happens when users change meanwhile.

import { beforeEach, describe, expect, it } from "vitest";
import { emptyBytes, utf8 } from "../../src/base/index.ts";
import type { CommandResult } from "../../src/node/handle.ts";
import { BcryptHasher, type PasswordHasher } from "../../src/api/password-hasher.ts";
import { AuthenticateRequest, AuthenticateResponse, TokenIssue } from "../../src/wire/index.ts";
import { makeWorld, type World } from "../api/harness.ts";

/** Compares as text, and counts. */
class PlainHasher implements PasswordHasher {
  compared: string[] = [];
  before: () => void = () => {};

  hash(password: string): Promise<string> {
    return Promise.resolve(password);
  }
  compare(password: string, hash: string, isWanted: () => boolean): Promise<boolean> {
    if (!isWanted()) {
      return Promise.reject(new Error("nobody waits"));
    }
    this.compared.push(hash);
    this.before();
    return Promise.resolve(password === hash);
  }
  close(): void {}
}

let hasher: PlainHasher;
let world: World;
let issued: TokenIssue[];

beforeEach(() => {
  hasher = new PlainHasher();
  world = makeWorld({ passwords: hasher });
  const { auth } = world.node;
  auth.addUser("root", utf8("r"), false);
  auth.addUser("user", utf8("right"), false);
  auth.addUser("blank", emptyBytes, false);
  auth.addUser("cert", emptyBytes, true);
  auth.grantRole("root", "root");
  auth.enable();
  issued = [];
  world.node.propose = (kind, body): Promise<CommandResult> => {
    expect(kind).toBe("tokenIssue");
    const issue = TokenIssue.decode(body);
    issued.push(issue);
    const token = `${issue.prefix}.12`;
    const code = auth.issueToken(issue.name, token, issue.authRevision);
    const { revision } = world.node.store;
    return Promise.resolve(
      code === undefined ? { kind: "token", revision, token } : { kind: "error", code },
    );
  };
});

async function logIn(name: string, password: string): Promise<string> {
  const request = AuthenticateRequest.encode({ name, password });
  const reply = await world.call("/etcdserverpb.Auth/Authenticate", request);
  return AuthenticateResponse.decode(reply).token;
}

describe("a login", () => {
  it("gives another token each time, of letters and the log's index", async () => {
    const first = await logIn("user", "right");
    expect(first).toMatch(/^[A-Za-z]{16}\.12$/);
    expect(await logIn("user", "right")).not.toBe(first);
    expect(issued.map(({ name }) => name)).toEqual(["user", "user"]);
    // The command, which is written down, has a digest of the letters.
    expect(issued[0]?.prefix).toMatch(/^[\w-]{43}$/);
    expect(issued[0]?.prefix).not.toContain(first.slice(0, 16));
  });

  it("compares once what is remembered, and again when the password is another", async () => {
    await logIn("user", "right");
    await logIn("user", "right");
    expect(hasher.compared).toEqual(["right"]);
    await expect(logIn("user", "wrong")).rejects.toMatchObject({ code: "authFailed" });
    expect(hasher.compared).toHaveLength(2);
    world.node.auth.changePassword("user", utf8("new"));
    await expect(logIn("user", "right")).rejects.toMatchObject({ code: "authFailed" });
    await logIn("user", "new");
    world.clock.advance(300_000);
    const before = hasher.compared.length;
    await logIn("user", "new");
    expect(hasher.compared).toHaveLength(before + 1);
  });

  it("costs the same for a user that is not there, or has no password", async () => {
    await expect(logIn("nobody", "x")).rejects.toMatchObject({ code: "authFailed" });
    await expect(logIn("blank", "")).rejects.toMatchObject({ code: "authFailed" });
    await expect(logIn("", "")).rejects.toMatchObject({ code: "authFailed" });
    expect(hasher.compared).toHaveLength(3);
    for (const hash of hasher.compared) {
      expect(hash).toMatch(/^\$2b\$10\$[./A-Za-z0-9]{53}$/);
    }
    await expect(logIn("cert", "x")).rejects.toMatchObject({ code: "noPasswordUser" });
    expect(issued).toEqual([]);
  });

  it("gives no token for a password that was changed while it was compared", async () => {
    let changes = 1;
    hasher.before = () => {
      if (changes-- > 0) {
        world.node.auth.changePassword("user", utf8("new"));
      }
    };
    await expect(logIn("user", "right")).rejects.toMatchObject({ code: "authFailed" });
    expect(issued).toHaveLength(1);
    expect(world.node.auth.tokens.size).toBe(0);
  });

  it("is tried again when other users change meanwhile, but not for ever", async () => {
    let changes = 2;
    hasher.before = () => {
      if (changes-- > 0) {
        world.node.auth.addRole(`r${changes}`);
      }
    };
    // The first change is seen after the comparison; what was found right is remembered then.
    await logIn("user", "right");
    expect(issued).toHaveLength(2);
    const { auth } = world.node;
    let asked = 0;
    world.node.propose = () => {
      asked++;
      auth.addRole(`more${asked}`);
      return Promise.resolve({ kind: "error", code: "authOldRevision" });
    };
    await expect(logIn("user", "right")).rejects.toMatchObject({ code: "authOldRevision" });
    expect(asked).toBeLessThan(20);
  });

  it("is refused to an address that has failed too often, for a while", async () => {
    await logIn("root", "r");
    for (let i = 0; i < 5; i++) {
      await expect(logIn("user", "wrong")).rejects.toMatchObject({ code: "authFailed" });
      world.clock.advance(1_000);
    }
    const compared = hasher.compared.length;
    await expect(logIn("user", "right")).rejects.toMatchObject({ code: "tooManyRequests" });
    expect(hasher.compared).toHaveLength(compared);
    await logIn("root", "r");
    world.clock.advance(6_000);
    await logIn("user", "right");
  });
});

describe("bcrypt in its thread", () => {
  it("hashes and compares, one at a time, in order", async () => {
    const bcrypt = new BcryptHasher(4);
    const hash = await bcrypt.hash("pässword");
    expect(hash).toMatch(/^\$2b\$04\$[./A-Za-z0-9]{53}$/);
    const always = (): boolean => true;
    const answers = await Promise.all([
      bcrypt.compare("pässword", hash, always),
      bcrypt.compare("password", hash, always),
      bcrypt.compare("pässword", "no hash at all", always),
      bcrypt.compare("", hash, always),
    ]);
    expect(answers).toEqual([true, false, false, false]);
    // As Go writes it.
    expect(await bcrypt.compare("pässword", hash.replace("$2b$", "$2a$"), always)).toBe(true);
    bcrypt.close();
  });

  it("does not begin what nobody waits for, nor queue without end", async () => {
    const bcrypt = new BcryptHasher(4);
    const hash = await bcrypt.hash("x");
    await expect(bcrypt.compare("x", hash, () => false)).rejects.toMatchObject({
      code: "requestCanceled",
    });
    const all = await Promise.allSettled(
      Array.from({ length: 100 }, () => bcrypt.compare("x", hash, () => true)),
    );
    const refused = all.filter(({ status }) => status === "rejected");
    expect(refused.length).toBeGreaterThan(30);
    expect(refused.length).toBeLessThan(40);
    expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(100 - refused.length);
    const last = bcrypt.compare("x", hash, () => true);
    bcrypt.close();
    await expect(last).rejects.toMatchObject({ code: "stopped" });
  });

  it("leaves the event loop free", async () => {
    const bcrypt = new BcryptHasher(12);
    const done = bcrypt.hash("x").then(() => true);
    let turns = 0;
    const turn = (): Promise<boolean> => new Promise((resolve) => setImmediate(resolve, false));
    while (!(await Promise.race([done, turn()]))) {
      turns++;
    }
    expect(turns).toBeGreaterThan(50);
    bcrypt.close();
  });
});
