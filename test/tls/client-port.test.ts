// The port of clients with certificates from files: who is let in, who is not and why, and files
// that change while it serves.

import { credentials } from "@grpc/grpc-js";
import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fromUtf8 } from "../../src/base/index.ts";
import { clientDoor } from "../../src/server/security.ts";
import { readTlsShape, TlsCredentials, type TlsSettings } from "../../src/tls/index.ts";
import { failureOf, type Harness, kinds, RawClient, startServer, until } from "../grpc/harness.ts";
import { type Authority, CertificateFolder, type Leaf } from "../support/certificates.ts";
import { RememberedLog, tlsSettings } from "./settings.ts";

let folder: CertificateFolder;
let ca: Authority;
let own: Leaf;
let log: RememberedLog;
let server: Harness | undefined;

beforeEach(() => {
  folder = new CertificateFolder();
  ca = folder.authority("ca");
  own = ca.leaf("server");
  log = new RememberedLog();
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  folder[Symbol.dispose]();
});

async function serve(
  changes: Partial<TlsSettings> = {},
  kind: (typeof kinds)[number] = "direct",
): Promise<Harness> {
  const settings = tlsSettings({ certFile: own.certFile, keyFile: own.keyFile, ...changes });
  const tls = clientDoor(new TlsCredentials(settings, log), log);
  const http = createHttpServer((_request, response) => response.end("http"));
  server = await startServer(kind, {}, { tls, http });
  return server;
}

/** One call over a new connection, with or without a client certificate; what it answered. */
async function call(harness: Harness, client?: Leaf, authority = ca): Promise<string> {
  const pair = client && ([Buffer.from(client.key), Buffer.from(client.cert)] as const);
  const trusted = Buffer.from(authority.cert);
  const secure = pair
    ? credentials.createSsl(trusted, pair[0], pair[1])
    : credentials.createSsl(trusted);
  const raw = new RawClient(harness.address, {}, secure);
  try {
    return fromUtf8(await raw.unary("Unary", "hello", { deadline: Date.now() + 3_000 }));
  } catch (error) {
    return `code ${(error as { readonly code: number }).code}`;
  } finally {
    raw.close();
  }
}

function open(harness: Harness, options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const port = harness.portNumber;
    const socket = connect({ host: "127.0.0.1", port, ca: ca.cert, ...options }, () =>
      resolve(socket),
    );
    socket.once("error", reject);
  });
}

const refused = "rejected connection on client endpoint";

describe.each(kinds)("mutual TLS on %s", (kind) => {
  it("lets in who shows a trusted certificate, and knows its name", async () => {
    const harness = await serve({ trustedCaFile: ca.caFile, clientCertAuth: true }, kind);
    expect(await call(harness, ca.leaf("alice"))).toBe("hello");
    const { cert, key } = ca.leaf("alice");
    const secure = credentials.createSsl(Buffer.from(ca.cert), Buffer.from(key), Buffer.from(cert));
    const raw = new RawClient(harness.address, {}, secure);
    const waits = failureOf(raw.unary("Hang", "", { deadline: Date.now() + 1_000 }));
    await until(() => harness.seen.calls.length === 1);
    expect(harness.seen.calls[0]?.peer.certificateCommonName).toBe("alice");
    await waits;
    raw.close();
    expect(log.with(refused)).toEqual([]);
  });

  it("refuses others, says why, and no call of theirs is heard", async () => {
    const harness = await serve({ trustedCaFile: ca.caFile }, kind);
    const other = folder.authority("other");
    const strangers: [Leaf | undefined, string][] = [
      [undefined, "no client certificate"],
      [other.leaf("mallory"), "client certificate not trusted"],
      [ca.leaf("late", { days: -1 }), "CERT_HAS_EXPIRED"],
      [ca.leaf("wrong-use", { usages: ["server"] }), "INVALID_PURPOSE"],
    ];
    for (const [leaf, reason] of strangers) {
      expect(await call(harness, leaf), reason).toMatch(/^code (?:14|4)$/);
      await until(() => log.with(reason).length > 0);
      expect(log.with(reason)[0]).toMatch(new RegExp(`^warn ${refused} .*127\\.0\\.0\\.1:\\d+`));
    }
    expect(harness.seen.ended).toEqual([]);
  });
});

describe("one's own certificate", () => {
  it("is refused by a client that trusts another authority", async () => {
    const harness = await serve();
    expect(await call(harness)).toBe("hello");
    expect(await call(harness, undefined, folder.authority("other"))).toBe("code 14");
    await until(() => log.with("TLS handshake failed").length > 0);
    expect(log.with("TLS handshake failed")[0]).toMatch(
      /127\.0\.0\.1:\d+.*(?:socket hang up|unknown ca)/,
    );
  });

  it("comes with a version, suites and protocols as asked", async () => {
    const shape = readTlsShape("", "TLS1.2", ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"]);
    const harness = await serve({ shape });
    const socket = await open(harness, { ALPNProtocols: ["h2", "http/1.1"] });
    expect(socket.getProtocol()).toBe("TLSv1.2");
    expect(socket.getCipher().name).toBe("ECDHE-ECDSA-AES256-GCM-SHA384");
    expect(socket.alpnProtocol).toBe("h2");
    socket.destroy();
    await expect(open(harness, { minVersion: "TLSv1.3" })).rejects.toThrow();
    await expect(open(harness, { maxVersion: "TLSv1.1" })).rejects.toThrow();
  });

  it("warns of a key that others can read, and of one that has ended", async () => {
    chmodSync(own.keyFile, 0o644);
    await serve();
    expect(log.with("private key can be read by others")).toHaveLength(1);
    own = ca.leaf("old", { days: -1 });
    expect(
      () => new TlsCredentials(tlsSettings({ certFile: own.certFile, keyFile: own.keyFile }), log),
    ).not.toThrow();
    expect(log.with("TLS certificate has expired")).toHaveLength(1);
    expect(log.lines.join("\n")).not.toContain("PRIVATE");
  });
});

describe("rules about client certificates", () => {
  it("refuse revoked ones, as soon as the list says so", async () => {
    const crlFile = folder.file("clients.crl", ca.revocationList([]));
    const harness = await serve({ trustedCaFile: ca.caFile, crlFile });
    const alice = ca.leaf("alice", { serial: 0x1f });
    expect(await call(harness, alice)).toBe("hello");
    writeFileSync(crlFile, ca.revocationList([0x1f]));
    expect(await call(harness, alice)).toMatch(/^code/);
    expect(await call(harness, ca.leaf("bob", { serial: 0x20 }))).toBe("hello");
    expect(log.with("certificate serial 1f revoked").length).toBeGreaterThan(0);
  });

  it("allow some host names", async () => {
    const allowedHostNames = ["a.example", "10.0.0.7"];
    const harness = await serve({ trustedCaFile: ca.caFile, allowedHostNames });
    expect(await call(harness, ca.leaf("one", { hosts: ["a.example"] }))).toBe("hello");
    expect(await call(harness, ca.leaf("two", { hosts: ["10.0.0.7"] }))).toBe("hello");
    const named = ca.leaf("three", { hosts: ["b.example"], commonName: "a.example" });
    expect(await call(harness, named)).toMatch(/^code/);
    expect(log.with("none of the allowed host names").length).toBeGreaterThan(0);
  });

  it("allow some common names", async () => {
    const allowedCommonNames = ["alice", "bob"];
    const harness = await serve({ trustedCaFile: ca.caFile, allowedCommonNames });
    expect(await call(harness, ca.leaf("bob"))).toBe("hello");
    expect(await call(harness, ca.leaf("carol"))).toMatch(/^code/);
    expect(log.with("common name carol not allowed").length).toBeGreaterThan(0);
  });

  it("ask for one even where no authority is named for them", async () => {
    const harness = await serve({ allowedCommonNames: ["alice"] });
    expect(await call(harness, ca.leaf("alice"))).toMatch(/^code/);
  });
});

describe.each(["TLSv1.2", "TLSv1.3"] as const)("a session taken up again, %s", (version) => {
  interface Asked {
    /** Of the answer, or "" when the connection is closed without one. */
    readonly status: string;
    readonly isReused: boolean;
    readonly session: Buffer | undefined;
  }

  async function ask(harness: Harness, options: ConnectionOptions): Promise<Asked> {
    let session: Buffer | undefined;
    let text = "";
    let isReused = false;
    const port = harness.portNumber;
    const versions = { minVersion: version, maxVersion: version };
    const socket = connect({ host: "127.0.0.1", port, ca: ca.cert, ...versions, ...options });
    socket.on("secureConnect", () => {
      isReused = socket.isSessionReused();
      socket.write("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    });
    socket.on("session", (given: Buffer) => {
      session = given;
    });
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    socket.on("error", () => undefined);
    await new Promise((resolve) => socket.once("close", resolve));
    return { status: text.split(" ")[1] ?? "", isReused, session };
  }

  const pairOf = (name: string): ConnectionOptions => {
    const { cert, key } = ca.leaf(name);
    return { cert, key };
  };

  it("is held to the same rules", async () => {
    const harness = await serve({ trustedCaFile: ca.caFile, allowedCommonNames: ["alice"] });
    const { session, ...first } = await ask(harness, pairOf("alice"));
    expect(first).toEqual({ status: "200", isReused: false });
    const again = await ask(harness, { session });
    expect(again).toMatchObject({ status: "200", isReused: true });

    const refused = await ask(harness, pairOf("bob"));
    expect(refused.status).toBe("");
    expect((await ask(harness, { session: refused.session })).status).toBe("");
    expect((await ask(harness, {})).status).toBe("");
    expect(log.with("common name bob not allowed").length).toBeGreaterThan(0);
  });
});

describe("files that change", () => {
  it("serve the next handshake; connections that exist go on", async () => {
    const harness = await serve();
    const kept = new RawClient(harness.address, {}, credentials.createSsl(Buffer.from(ca.cert)));
    expect(fromUtf8(await kept.unary("Unary", "before"))).toBe("before");
    const before = (await open(harness)).getPeerCertificate().fingerprint256;
    ca.leaf("server");
    const socket = await open(harness);
    expect(socket.getPeerCertificate().fingerprint256).not.toBe(before);
    expect(await call(harness)).toBe("hello");
    expect(fromUtf8(await kept.unary("Unary", "after"))).toBe("after");
    expect(log.with("reloaded TLS certificates")).toHaveLength(1);
    kept.close();
  });

  it("are not used until they fit together; what was in use stays", async () => {
    const harness = await serve({ trustedCaFile: ca.caFile });
    const client = ca.leaf("alice");
    const next = ca.leaf("next");
    writeFileSync(own.certFile, next.cert);
    expect(await call(harness, client)).toBe("hello");
    expect(await call(harness, client)).toBe("hello");
    expect(log.with("keeping the old ones")).toHaveLength(1);
    expect(log.with("does not belong to the certificate")).toHaveLength(1);
    writeFileSync(own.keyFile, next.key);
    expect(await call(harness, client)).toBe("hello");
    expect(log.with("reloaded TLS certificates")).toHaveLength(1);
    rmSync(own.keyFile);
    expect(await call(harness, client)).toBe("hello");
    writeFileSync(ca.caFile, "nonsense");
    expect(await call(harness, client)).toBe("hello");
    expect(await call(harness)).toMatch(/^code/);
  });

  it("may trust another authority from then on", async () => {
    const clients = folder.authority("clients");
    const harness = await serve({ trustedCaFile: clients.caFile });
    const alice = clients.leaf("alice");
    expect(await call(harness, alice)).toBe("hello");
    const others = folder.authority("clients");
    expect(await call(harness, alice)).toMatch(/^code/);
    expect(await call(harness, others.leaf("alice"))).toBe("hello");
  });
});

describe("files that are not right", () => {
  const refusal = (changes: Partial<TlsSettings>): string => {
    const settings = tlsSettings({ certFile: own.certFile, keyFile: own.keyFile, ...changes });
    try {
      new TlsCredentials(settings, log);
    } catch (error) {
      return (error as Error).message;
    }
    return "accepted";
  };

  it("are named with the flag and the reason", () => {
    const junk = folder.file(
      "junk",
      "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
    );
    const absent = `${folder.path}/absent`;
    const other = ca.leaf("other");
    expect(refusal({})).toBe("accepted");
    expect(refusal({ certFile: absent })).toBe(`--cert-file: cannot read ${absent}: no such file`);
    expect(refusal({ keyFile: folder.path })).toBe(
      `--key-file: cannot read ${folder.path}: it is a directory`,
    );
    expect(refusal({ keyFile: "" })).toBe(
      `--cert-file and --key-file must both be present (set to "${own.certFile}" and "")`,
    );
    expect(refusal({ certFile: junk })).toBe(`--cert-file: ${junk} holds no certificate in PEM`);
    expect(refusal({ keyFile: junk })).toBe(
      `--key-file: ${junk} holds no private key in PEM without a password`,
    );
    expect(refusal({ keyFile: other.keyFile })).toBe(
      `--key-file: the key in ${other.keyFile} does not belong to the certificate in ` +
        own.certFile,
    );
    expect(refusal({ trustedCaFile: junk })).toBe(
      `--trusted-ca-file: ${junk} holds no certificates in PEM`,
    );
    expect(refusal({ trustedCaFile: own.keyFile })).toContain("holds no certificates in PEM");
    expect(refusal({ crlFile: own.certFile })).toBe(
      `--client-crl-file: ${own.certFile} holds no certificate revocation list`,
    );
    expect(refusal({ role: "peer", crlFile: junk })).toContain("--peer-crl-file: ");
    expect(refusal({ role: "peer", certFile: absent })).toContain("--peer-cert-file: cannot read");
  });
});
