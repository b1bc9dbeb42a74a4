// Certificates for tests, made without any tool: authorities, and pairs of files that they signed.

import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  bitString,
  derTime,
  objectId,
  sequence,
  toPem,
  unsignedInteger,
} from "../../src/tls/der.ts";
import { makeCertificate, nameOf, type SubjectName } from "../../src/tls/x509.ts";

const dayMs = 24 * 3_600_000;

export interface LeafOptions {
  readonly commonName?: string;
  readonly hosts?: readonly string[];
  readonly usages?: readonly ("server" | "client")[];
  /** Days from now; negative for one that has ended. */
  readonly days?: number;
  readonly serial?: number;
}

export interface Leaf {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

/** A directory of certificates; `using` removes it. */
export class CertificateFolder {
  readonly path = mkdtempSync(join(tmpdir(), "quorate-tls-"));

  file(name: string, contents: string | Uint8Array, mode = 0o600): string {
    const path = join(this.path, name);
    writeFileSync(path, contents, { mode });
    return path;
  }

  authority(name: string): Authority {
    return new Authority(this, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

export class Authority {
  readonly caFile: string;
  readonly cert: string;
  readonly #folder: CertificateFolder;
  readonly #subject: SubjectName;
  readonly #key: KeyObject;

  constructor(folder: CertificateFolder, name: string) {
    this.#folder = folder;
    this.#subject = { commonName: name };
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.#key = privateKey;
    this.cert = toPem(
      makeCertificate({
        subject: this.#subject,
        issuer: this.#subject,
        publicKey,
        signingKey: privateKey,
        notBefore: new Date(Date.now() - dayMs),
        notAfter: new Date(Date.now() + dayMs),
        isAuthority: true,
        hosts: [],
        usages: [],
      }),
      "CERTIFICATE",
    );
    this.caFile = folder.file(`${name}.crt`, this.cert);
  }

  /** Makes `name`.crt and `name`.key, or replaces them. For 127.0.0.1 and both uses unless told. */
  leaf(name: string, options: LeafOptions = {}): Leaf {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const notAfter = new Date(Date.now() + (options.days ?? 1) * dayMs);
    const der = makeCertificate({
      subject: { commonName: options.commonName ?? name },
      issuer: this.#subject,
      publicKey,
      signingKey: this.#key,
      notBefore: new Date(Math.min(Date.now(), notAfter.getTime()) - dayMs / 2),
      notAfter,
      isAuthority: false,
      hosts: options.hosts ?? ["127.0.0.1", "localhost"],
      usages: options.usages ?? ["server", "client"],
      serial: options.serial === undefined ? undefined : Uint8Array.of(options.serial),
    });
    const cert = toPem(der, "CERTIFICATE");
    const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    return {
      cert,
      key,
      certFile: this.#folder.file(`${name}.crt`, cert),
      keyFile: this.#folder.file(`${name}.key`, key),
    };
  }

  /** A revocation list of these serial numbers, in DER. */
  revocationList(serials: readonly number[]): Buffer {
    const algorithm = sequence(objectId("1.2.840.10045.4.3.2"));
    const now = new Date();
    const entries = serials.map((serial) =>
      sequence(unsignedInteger(Uint8Array.of(serial)), derTime(now)),
    );
    const toBeSigned = sequence(
      unsignedInteger(Uint8Array.of(1)),
      algorithm,
      nameOf(this.#subject),
      derTime(now),
      derTime(new Date(now.getTime() + dayMs)),
      ...(entries.length === 0 ? [] : [sequence(...entries)]),
    );
    return sequence(toBeSigned, algorithm, bitString(sign("sha256", toBeSigned, this.#key)));
  }
}
