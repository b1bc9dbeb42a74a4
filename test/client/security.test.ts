// TLS, client certificates, and tokens.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type ClientOptions,
  connect,
  InvalidAuthTokenError,
  keyBytes,
  type TlsOptions,
  UnavailableError,
} from "../../src/client/index.ts";
import { expiryOf, Tokens } from "../../src/client/tokens.ts";
import { type Authority, CertificateFolder, type Leaf } from "../support/certificates.ts";
import type { MemberProcess } from "../support/processes.ts";
import { addFlags, clientFlags, makeMembers, peerFlags } from "../tls/members.ts";

async function errorOf(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error("the call succeeded");
}

describe("TLS", () => {
  let folder: CertificateFolder;
  let ca: Authority;
  let alice: Leaf;
  let member: MemberProcess | undefined;
  const pem = (text: string): Uint8Array => Buffer.from(text);

  beforeAll(async () => {
    folder = new CertificateFolder();
    ca = folder.authority("ca");
    alice = ca.leaf("alice");
    [member] = await makeMembers(folder, 1, (name) => [
      ...peerFlags(ca, ca.leaf(name)),
      ...clientFlags(ca),
      `--trusted-ca-file=${ca.caFile}`,
      "--client-cert-auth",
    ]);
    const url = `https://${member?.endpoint}`;
    addFlags(member, `--listen-client-urls=${url}`, `--advertise-client-urls=${url}`);
    await member?.start();
  });
  afterAll(async () => {
    await member?.stop("SIGKILL");
    folder[Symbol.dispose]();
  });

  async function get(endpoint: string, tls?: TlsOptions): Promise<unknown> {
    await using client = connect({ endpoints: [endpoint], tls, dialTimeoutMs: 1_000 });
    return (await client.range({ key: keyBytes("a") })).header?.revision;
  }

  it("works both ways with certificates, with and without the scheme", async () => {
    const own = { certificate: pem(alice.cert), privateKey: pem(alice.key) };
    const tls = { ca: pem(ca.cert), ...own };
    expect(await get(`https://${member?.endpoint}`, tls)).toBeGreaterThan(0);
    expect(await get(member?.endpoint ?? "", tls)).toBeGreaterThan(0);
    expect(await get(member?.endpoint ?? "", { ...own, insecureSkipVerify: true })).toBeGreaterThan(
      0,
    );
    expect(await get(member?.endpoint ?? "", { ...tls, serverName: "localhost" })).toBeGreaterThan(
      0,
    );
  });

  it("refuses a server that is not trusted, or not the one that was meant", async () => {
    const own = { certificate: pem(alice.cert), privateKey: pem(alice.key) };
    const other = folder.authority("other");
    const untrusted = await errorOf(get(`https://${member?.endpoint}`, own));
    expect(untrusted).toBeInstanceOf(UnavailableError);
    expect((untrusted as Error).message).toMatch(/certificate/);
    const wrong = await errorOf(get(member?.endpoint ?? "", { ca: pem(other.cert), ...own }));
    expect(wrong).toBeInstanceOf(UnavailableError);
    const tls = { ca: pem(ca.cert), ...own, serverName: "elsewhere.example" };
    expect(((await errorOf(get(member?.endpoint ?? "", tls))) as Error).message).toMatch(
      /elsewhere\.example/,
    );
  });

  it("is refused without a certificate, and without TLS", async () => {
    const anonymous = await errorOf(get(member?.endpoint ?? "", { ca: pem(ca.cert) }));
    expect(anonymous).toBeInstanceOf(UnavailableError);
    const plain = await errorOf(get(`http://${member?.endpoint}`));
    expect(plain).toBeInstanceOf(UnavailableError);
  });

  it("names what is wrong with options", () => {
    const make = (options: Partial<ClientOptions>) => () =>
      connect({ endpoints: ["a:1"], ...options }).close();
    expect(make({ tls: { certificate: pem(alice.cert) } })).toThrow(/both certificate and private/);
    expect(make({ tls: { ca: pem("no PEM") } })).toThrow(/^tls: /);
    expect(make({ tls: { certificate: pem(alice.cert), privateKey: pem("x") } })).toThrow(/^tls: /);
    expect(make({ endpoints: [] })).toThrow(/at least one endpoint/);
    expect(make({ endpoints: ["ftp://a"] })).toThrow('not an endpoint: "ftp://a"');
    expect(make({ endpoints: ["a b"] })).toThrow('not an endpoint: "a b"');
  });
});

describe("tokens", () => {
  const jwt = (expiresAtMs: number): string => {
    const payload = Buffer.from(JSON.stringify({ exp: expiresAtMs / 1000 }));
    return `e30.${payload.toString("base64url")}.sig`;
  };

  it("are fetched once by all that wait, and again when refused", async () => {
    let fetched = 0;
    const tokens = new Tokens(() => Promise.resolve(`t${++fetched}`));
    expect(await Promise.all([tokens.current(), tokens.current()])).toEqual(["t1", "t1"]);
    expect(tokens.current()).toBe("t1");
    tokens.refuse("t0");
    expect(tokens.current()).toBe("t1");
    tokens.refuse("t1");
    expect(await tokens.current()).toBe("t2");
  });

  it("are replaced before they expire", async () => {
    expect(expiryOf(jwt(5_000))).toBe(5_000);
    expect([expiryOf("simple.7"), expiryOf("a.b.c"), expiryOf("")]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    const made: string[] = [];
    const tokens = new Tokens(() => {
      made.push(jwt(Date.now() + (made.length === 0 ? 0 : 60_000)));
      return Promise.resolve(made.at(-1));
    });
    await tokens.current();
    expect(await tokens.current()).toBe(made[1]);
    expect(tokens.current()).toBe(made[1]);
    expect(made).toHaveLength(2);
  });

  it("that could not be fetched are fetched the next time", async () => {
    let fetched = 0;
    const tokens = new Tokens(() =>
      ++fetched === 1 ? Promise.reject(new InvalidAuthTokenError()) : Promise.resolve("t"),
    );
    expect(await errorOf(Promise.resolve(tokens.current()))).toBeInstanceOf(InvalidAuthTokenError);
    expect(await tokens.current()).toBe("t");
  });
});
