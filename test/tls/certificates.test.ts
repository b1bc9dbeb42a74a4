// Certificates as we make and read them, checked by Node's own reader (and openssl, if it is here).

import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SeededRng, silentLogger } from "../../src/base/index.ts";
import { derTime, objectId, readDer, toPem, unsignedInteger } from "../../src/tls/der.ts";
import { addressRefusal, readTlsShape, withSelfSigned } from "../../src/tls/index.ts";
import { readRevocationLists } from "../../src/tls/revocation.ts";
import { CertificateFolder } from "../support/certificates.ts";
import { tlsSettings } from "./settings.ts";

let folder: CertificateFolder;
beforeEach(() => {
  folder = new CertificateFolder();
});
afterEach(() => folder[Symbol.dispose]());

describe("DER", () => {
  it("writes numbers, identifiers and times as the standard has them", () => {
    const hex = (bytes: Buffer): string => bytes.toString("hex");
    expect(hex(unsignedInteger(Uint8Array.of(0)))).toBe("020100");
    expect(hex(unsignedInteger(Uint8Array.of(0, 0, 0x80)))).toBe("02020080");
    expect(hex(objectId("1.2.840.10045.4.3.2"))).toBe("06082a8648ce3d040302");
    expect(derTime(new Date("2049-12-31T23:59:59.9Z")).subarray(2).toString()).toBe(
      "491231235959Z",
    );
    expect(derTime(new Date("2050-01-01T00:00:00Z")).subarray(2).toString()).toBe(
      "20500101000000Z",
    );
  });

  it("refuses to read what breaks off", () => {
    for (const hex of ["30", "3005", "300501", "30800000", "3085000000000100"]) {
      expect(() => readDer(Buffer.from(hex, "hex")), hex).toThrow(RangeError);
    }
  });
});

describe("certificates", () => {
  it("have the names, the uses and the signature that were asked for", () => {
    const authority = folder.authority("ca");
    const { cert } = authority.leaf("a", { hosts: ["a.example", "10.0.0.1", "fd00::1:0:2"] });
    const [issuer, leaf] = [new X509Certificate(authority.cert), new X509Certificate(cert)];
    expect(leaf.checkIssued(issuer)).toBe(true);
    expect(leaf.verify(issuer.publicKey)).toBe(true);
    expect([issuer.ca, leaf.ca]).toEqual([true, false]);
    expect(leaf.subjectAltName).toBe(
      "DNS:a.example, IP Address:10.0.0.1, IP Address:FD00:0:0:0:0:1:0:2",
    );
    expect(leaf.checkIP("fd00::1:0:2")).toBe("fd00::1:0:2");
  });

  it("self-signed are kept, and made anew when they ended or have another name", () => {
    const dataDir = mkdtempSync(join(tmpdir(), "quorate-auto-"));
    const make = (hosts: string[]): string => {
      const options = { dataDir, hosts, validityYears: 2 };
      const { certFile } = withSelfSigned(tlsSettings({ auto: true }), options, silentLogger);
      return readFileSync(certFile, "utf8");
    };
    const first = make(["127.0.0.1"]);
    expect(make(["127.0.0.1"])).toBe(first);
    expect(Date.parse(new X509Certificate(first).validTo)).toBeGreaterThan(
      Date.now() + 729 * 86_400_000,
    );
    const keyFile = join(dataDir, "fixtures/client/key.pem");
    expect(statSync(keyFile).mode & 0o777).toBe(0o600);
    const second = make(["127.0.0.1", "db.example"]);
    expect(second).not.toBe(first);
    writeFileSync(
      join(dataDir, "fixtures/client/cert.pem"),
      folder.authority("ca").leaf("old", { days: -1, hosts: ["127.0.0.1"] }).cert,
    );
    expect(new X509Certificate(make(["127.0.0.1"])).subject).toBe("O=etcd");
    rmSync(dataDir, { recursive: true });
  });
});

describe("revocation lists", () => {
  it("give their serial numbers, from DER and from PEM", () => {
    const ca = folder.authority("ca");
    const list = ca.revocationList([7, 200]);
    expect([...readRevocationLists(list)]).toEqual(["7", "c8"]);
    const both = toPem(list, "X509 CRL") + toPem(ca.revocationList([9]), "X509 CRL");
    expect([...readRevocationLists(Buffer.from(both))]).toEqual(["7", "c8", "9"]);
    expect([...readRevocationLists(ca.revocationList([]))]).toEqual([]);
  });

  it("fail in one way only, however damaged", () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const rng = new SeededRng(seed);
    const list = folder.authority("ca").revocationList([7, 200, 3]);
    for (let i = 0; i < 2_000; i++) {
      const damaged = Buffer.from(list.subarray(0, rng.below(list.length) + 1));
      for (let bytes = rng.below(4); bytes > 0; bytes--) {
        damaged[rng.below(damaged.length)] = rng.below(256);
      }
      try {
        readRevocationLists(damaged);
      } catch (error) {
        expect(error, `seed ${seed}`).toBeInstanceOf(RangeError);
      }
    }
  });

  it("are refused when they are none", () => {
    const certificate = Buffer.from(folder.authority("ca").cert);
    const list = folder.authority("ca").revocationList([7]);
    for (const bytes of [Buffer.alloc(0), Buffer.from("no"), certificate, list.subarray(0, 40)]) {
      expect(() => readRevocationLists(bytes)).toThrow(RangeError);
    }
  });
});

describe("the address of a member", () => {
  const resolver = {
    addressesOf: (name: string) =>
      name === "a.example" ? Promise.resolve(["10.0.0.1"]) : Promise.reject(new Error("ENOTFOUND")),
    namesOf: (address: string) =>
      address === "10.0.0.9" ? Promise.resolve(["n9.b.example."]) : Promise.resolve([]),
  };
  const from = (hosts: readonly string[], address: string): Promise<string | undefined> => {
    const { cert } = folder.authority("ca").leaf("peer", { hosts });
    return addressRefusal(new X509Certificate(cert), address, resolver);
  };

  it("is one of its certificate's addresses or names", async () => {
    expect(await from([], "10.0.0.3")).toBeUndefined();
    expect(await from(["10.0.0.1"], "::ffff:10.0.0.1")).toBeUndefined();
    expect(await from(["a.example"], "10.0.0.1")).toBeUndefined();
    expect(await from(["*.b.example"], "10.0.0.9")).toBeUndefined();
    expect(await from(["n9.b.example", "10.0.0.1"], "10.0.0.9")).toBeUndefined();
  });

  it("is found by one lookup while another takes for ever", async () => {
    const { cert } = folder.authority("ca").leaf("peer", { hosts: ["a.example"] });
    const slow = { ...resolver, namesOf: () => new Promise<string[]>(() => undefined) };
    expect(await addressRefusal(new X509Certificate(cert), "10.0.0.1", slow)).toBeUndefined();
  });

  it("is refused otherwise", async () => {
    expect(await from(["10.0.0.1"], "10.0.0.2")).toBe("certificate is not valid for 10.0.0.2");
    expect(await from(["a.example", "c.example"], "10.0.0.2")).toBe(
      '10.0.0.2 does not match any of DNSNames ["a.example","c.example"]',
    );
    expect(await from(["*.b.example"], "10.0.0.1")).toContain("does not match");
  });
});

describe("versions and suites", () => {
  it("go by etcd's names", () => {
    expect(readTlsShape("", "", [])).toEqual({
      minVersion: "TLSv1.2",
      maxVersion: "TLSv1.3",
      ciphers: undefined,
    });
    const { ciphers } = readTlsShape("TLS1.2", "TLS1.3", [
      "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    ]);
    expect(ciphers).toContain("ECDHE-ECDSA-AES256-GCM-SHA384:TLS_AES_128_GCM_SHA256");
  });

  it("are refused in etcd's words", () => {
    expect(() => readTlsShape("TLS1.1", "", [])).toThrow(
      'unexpected TLS version "TLS1.1" (must be one of: TLS1.2, TLS1.3)',
    );
    expect(() => readTlsShape("TLS1.3", "TLS1.2", [])).toThrow(
      "min version (TLS1.3) is greater than max version (TLS1.2)",
    );
    const suite = "TLS_RSA_WITH_RC4_128_SHA";
    expect(() => readTlsShape("", "", [suite])).toThrow(`unexpected TLS cipher suite "${suite}"`);
    expect(() => readTlsShape("TLS1.3", "", ["TLS_AES_128_GCM_SHA256"])).toThrow(
      "cipher suites cannot be configured when only TLS1.3 is enabled",
    );
  });
});
