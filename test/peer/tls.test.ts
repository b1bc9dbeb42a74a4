// Links between members over TLS: the same frames and states, and who never gets as far.

import { once } from "node:events";
import { connect } from "node:tls";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { idToHex } from "../../src/base/index.ts";
import { peerTransport } from "../../src/server/security.ts";
import { TlsCredentials, type TlsSettings } from "../../src/tls/index.ts";
import type { PeerTransport } from "../../src/peer/index.ts";
import { type Authority, CertificateFolder } from "../support/certificates.ts";
import { RememberedLog, tlsSettings } from "../tls/settings.ts";
import { connected, frame, introduce, rawSocket, startMember, until } from "./peer-fixtures.ts";

let folder: CertificateFolder;
let ca: Authority;
let log: RememberedLog;

beforeEach(() => {
  folder = new CertificateFolder();
  ca = folder.authority("ca");
  log = new RememberedLog();
});
afterEach(() => folder[Symbol.dispose]());

function transport(name: string, changes: Partial<TlsSettings> = {}): PeerTransport {
  const { certFile, keyFile } = ca.leaf(name);
  const settings = tlsSettings({
    role: "peer",
    certFile,
    keyFile,
    trustedCaFile: ca.caFile,
    clientCertAuth: true,
    ...changes,
  });
  return peerTransport(new TlsCredentials(settings, log), settings.skipAddressCheck, log);
}

const https = "https" as const;

describe("links over TLS", () => {
  test("carry frames, calls and states, both ways", async () => {
    const states: string[] = [];
    const a = await startMember(1, { scheme: https, transport: transport("a") });
    const b = await startMember(2, {
      scheme: https,
      transport: transport("b"),
      overrides: {
        onSnapshot: async (from, header, chunks) => {
          let bytes = 0;
          for await (const chunk of chunks) {
            bytes += chunk.length;
          }
          states.push(`${from}:${Buffer.from(header).toString()}:${bytes}`);
        },
      },
    });
    introduce(a, b);
    await connected(a, b);
    await connected(b, a);
    const long = "x".repeat(300_000);
    a.network.send(b.id, frame(long));
    a.network.send(b.id, frame("after"));
    b.network.send(a.id, frame("back"));
    await until(() => b.frames.length === 2 && a.frames.length === 1);
    expect(b.frames).toEqual([`1:1:${long}`, "1:1:after"]);
    const answer = await a.network.request(b.id, 7, Buffer.from("?"), 5_000);
    expect(Buffer.from(answer).toString()).toBe("1:7:?");
    async function* chunks(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 40; i++) {
        yield new Uint8Array(50_000);
      }
    }
    await a.network.sendSnapshot(b.id, Buffer.from("state"), chunks());
    expect(states).toEqual(["1:state:2000000"]);
    expect(log.with("rejected")).toEqual([]);
  });

  test("go beside plain ones, for a cluster on its way to TLS", async () => {
    const a = await startMember(1, { scheme: https, transport: transport("a") });
    const b = await startMember(2, { scheme: "http", transport: transport("b") });
    introduce(a, b);
    await connected(a, b);
    await connected(b, a);
  });
});

describe("who does not get in", () => {
  test("a plain member, and one that is not at the address of its certificate", async () => {
    const a = await startMember(1, { scheme: https, transport: transport("a") });
    const plain = await startMember(2);
    plain.network.setPeers([{ id: a.id, urls: [a.url.replace("https", "http")] }]);
    await until(() => log.with("TLS handshake failed").length > 0);
    const { certFile, keyFile } = ca.leaf("elsewhere", { hosts: ["192.0.2.9"] });
    const elsewhere = transport("c", { clientCertFile: certFile, clientKeyFile: keyFile });
    const c = await startMember(3, { scheme: https, transport: elsewhere });
    c.network.setPeers([{ id: a.id, urls: [a.url] }]);
    await until(() => log.with("certificate is not valid for 127.0.0.1").length > 0);
    expect(c.network.links()[0]?.connected).toBe(false);
    const skipping = await startMember(4, {
      scheme: https,
      transport: transport("d", { skipAddressCheck: true }),
    });
    c.network.setPeers([{ id: skipping.id, urls: [skipping.url] }]);
    await until(() => c.network.links()[0]?.connected === true);
    expect(idToHex(c.network.links()[0]?.id ?? skipping.id)).toBe(idToHex(skipping.id));
  });

  test("a revoked member, on either side", async () => {
    const revoked = ca.leaf("b", { serial: 0x33 });
    const crlFile = folder.file("peers.crl", ca.revocationList([0x33]));
    const a = await startMember(1, { scheme: https, transport: transport("a", { crlFile }) });
    const settings = tlsSettings({
      role: "peer",
      certFile: revoked.certFile,
      keyFile: revoked.keyFile,
      trustedCaFile: ca.caFile,
    });
    const b = await startMember(2, {
      scheme: https,
      transport: peerTransport(new TlsCredentials(settings, log), false, log),
    });
    introduce(a, b);
    await until(() => log.with("certificate serial 33 revoked").length > 0);
    await until(() => {
      a.network.send(b.id, frame("lost"));
      return a.unreachable.length > 0;
    });
    expect([a, b].map((each) => each.network.links()[0]?.connected)).toEqual([false, false]);
  });

  test("one that says nothing does not hold up the end", async () => {
    const a = await startMember(1, { scheme: https, transport: transport("a") });
    const silent = await rawSocket(a.url);
    const half = await rawSocket(a.url);
    half.write(Buffer.from([0x16, 0x03, 0x01]));
    const { cert, key } = ca.leaf("b");
    const secured = connect({
      host: "127.0.0.1",
      port: Number(new URL(a.url).port),
      ca: ca.cert,
      cert,
      key,
    });
    secured.on("error", () => undefined);
    await once(secured, "secureConnect");
    const closed = [silent, half, secured].map((socket) => {
      socket.on("error", () => undefined);
      return once(socket, "close");
    });
    await a.network.close();
    await Promise.all(closed);
  });
});
