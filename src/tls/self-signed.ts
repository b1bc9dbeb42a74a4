// --auto-tls and --peer-auto-tls: a certificate of our own making, kept below the data directory as
// etcd keeps it and used again while it is valid. It encrypts and proves nothing: whoever connects
// has no way to check it.

import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { ConfigError, type Logger } from "../base/index.ts";
import { toPem } from "./der.ts";
import { endOf } from "./material.ts";
import type { TlsSettings } from "./settings.ts";
import { makeCertificate } from "./x509.ts";

const yearMs = 365 * 24 * 3_600_000;

export interface SelfSignedOptions {
  readonly dataDir: string;
  /** Host names and addresses that this server is reached at. */
  readonly hosts: readonly string[];
  readonly validityYears: number;
}

/** `settings` with the files of a self-signed certificate, made if need be. Throws ConfigError. */
export function withSelfSigned(
  settings: TlsSettings,
  { dataDir, hosts, validityYears }: SelfSignedOptions,
  logger: Logger,
): TlsSettings {
  const directory = join(dataDir, "fixtures", settings.role);
  const certFile = join(directory, "cert.pem");
  const keyFile = join(directory, "key.pem");
  if (!isUsable(certFile, keyFile, hosts)) {
    const notAfter = new Date(Date.now() + validityYears * yearMs);
    logger.warn({ path: certFile, "not-after": notAfter }, "automatically generate certificates");
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      writePair(certFile, keyFile, hosts, notAfter);
    } catch (error) {
      throw new ConfigError(`cannot keep a certificate of our own: ${(error as Error).message}`);
    }
  }
  return { ...settings, certFile, keyFile, clientCertFile: "", clientKeyFile: "" };
}

function isUsable(certFile: string, keyFile: string, hosts: readonly string[]): boolean {
  try {
    readFileSync(keyFile);
    const certificate = new X509Certificate(readFileSync(certFile));
    const named = hosts.every((host) =>
      isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host),
    );
    return named && endOf(certificate) > Date.now();
  } catch {
    // Absent or broken: a new pair takes its place.
    return false;
  }
}

function writePair(certFile: string, keyFile: string, hosts: readonly string[], end: Date): void {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const subject = { organization: "etcd" };
  const certificate = makeCertificate({
    subject,
    issuer: subject,
    publicKey,
    signingKey: privateKey,
    notBefore: new Date(),
    notAfter: end,
    isAuthority: false,
    hosts,
    usages: ["server", "client"],
  });
  replaceFile(keyFile, privateKey.export({ type: "sec1", format: "pem" }).toString(), 0o600);
  replaceFile(certFile, toPem(certificate, "CERTIFICATE"), 0o644);
}

/** The new file takes the old one's place at once, so that no reader sees a part of it. */
function replaceFile(path: string, text: string, mode: number): void {
  writeFileSync(`${path}.tmp`, text, { mode });
  renameSync(`${path}.tmp`, path);
}
