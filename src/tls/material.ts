// The files of TLS, read and found to fit together. Every failure is a ConfigError that names the
// flag, the file and the reason: at the start it is the line the operator sees, later a log line.

import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";
import { ConfigError } from "../base/index.ts";
import { pemBlocks, toPem } from "./der.ts";
import { readRevocationLists, type RevokedSerials } from "./revocation.ts";
import { type TlsSettings, tlsFlag } from "./settings.ts";

export interface TlsMaterial {
  /** Certificate, key and authorities for accepting. */
  readonly server: SecureContextOptions;
  /** The same for connecting, ready made. */
  readonly client: SecureContext;
  readonly revoked: RevokedSerials;
  /** The end of the certificates' validity, the earliest. */
  readonly notAfter: Date;
  /** Private keys that others on this machine may read. */
  readonly exposedKeys: readonly string[];
}

interface Pair {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly leaf: X509Certificate;
}

/** Paths that a change of would matter. */
export function filesOf(settings: TlsSettings): string[] {
  const { certFile, keyFile, clientCertFile, clientKeyFile, trustedCaFile, crlFile } = settings;
  return [certFile, keyFile, clientCertFile, clientKeyFile, trustedCaFile, crlFile].filter(
    (path) => path !== "",
  );
}

/** Reads everything. Throws ConfigError. */
export function loadMaterial(settings: TlsSettings): TlsMaterial {
  const { role, shape, trustedCaFile, crlFile } = settings;
  const pair = readPair(settings, "cert-file", settings.certFile, "key-file", settings.keyFile);
  const { clientCertFile, clientKeyFile } = settings;
  const own =
    clientCertFile === "" && clientKeyFile === ""
      ? pair
      : readPair(settings, "client-cert-file", clientCertFile, "client-key-file", clientKeyFile);
  const authorities = trustedCaFile === "" ? undefined : readAuthorities(settings);
  const common: SecureContextOptions = {
    minVersion: shape.minVersion,
    maxVersion: shape.maxVersion,
    ...(shape.ciphers === undefined ? {} : { ciphers: shape.ciphers }),
    ...(authorities === undefined ? {} : { ca: authorities }),
  };
  const server = { ...common, cert: pair.cert, key: pair.key, honorCipherOrder: true };
  const keys = [...new Set([settings.keyFile, clientKeyFile])].filter((path) => path !== "");
  try {
    // Made once for its errors: a listener makes its own from the options.
    createSecureContext(server);
    return {
      server,
      client: createSecureContext({ ...common, cert: own.cert, key: own.key }),
      revoked: crlFile === "" ? new Set() : readRevoked(settings),
      notAfter: new Date(Math.min(endOf(pair.leaf), endOf(own.leaf))),
      exposedKeys: keys.filter((path) => (statSync(path).mode & 0o077) !== 0),
    };
  } catch (error) {
    if (error instanceof ConfigError) {
      throw error;
    }
    const flag = tlsFlag(role, "cert-file");
    throw new ConfigError(`${flag}: ${settings.certFile} cannot be used: ${reasonOf(error)}`);
  }
}

/** The end of a certificate's validity, milliseconds since the Unix epoch. */
export function endOf(certificate: X509Certificate): number {
  return Date.parse(certificate.validTo);
}

function readPair(
  { role }: TlsSettings,
  certName: string,
  certFile: string,
  keyName: string,
  keyFile: string,
): Pair {
  const [certFlag, keyFlag] = [tlsFlag(role, certName), tlsFlag(role, keyName)];
  if (certFile === "" || keyFile === "") {
    throw new ConfigError(
      `${certFlag} and ${keyFlag} must both be present (set to "${certFile}" and "${keyFile}")`,
    );
  }
  const cert = readFile(certFlag, certFile);
  const key = readFile(keyFlag, keyFile);
  const leaf = parse(`${certFlag}: ${certFile} holds no certificate in PEM`, () => {
    const [first] = pemBlocks(cert.toString("latin1"), "CERTIFICATE");
    return new X509Certificate(first ?? Buffer.alloc(0));
  });
  const privateKey = parse(
    `${keyFlag}: ${keyFile} holds no private key in PEM without a password`,
    () => createPrivateKey(key),
  );
  if (!leaf.checkPrivateKey(privateKey)) {
    throw new ConfigError(
      `${keyFlag}: the key in ${keyFile} does not belong to the certificate in ${certFile}`,
    );
  }
  return { cert, key, leaf };
}

function readAuthorities({ role, trustedCaFile }: TlsSettings): string[] {
  const flag = tlsFlag(role, "trusted-ca-file");
  const blocks = pemBlocks(readFile(flag, trustedCaFile).toString("latin1"), "CERTIFICATE");
  return parse(`${flag}: ${trustedCaFile} holds no certificates in PEM`, () => {
    if (blocks.length === 0) {
      throw new RangeError("no certificate");
    }
    return blocks.map((block) => {
      new X509Certificate(block);
      return toPem(block, "CERTIFICATE");
    });
  });
}

function readRevoked({ role, crlFile }: TlsSettings): RevokedSerials {
  const flag = tlsFlag(role, "client-crl-file");
  const bytes = readFile(flag, crlFile);
  return parse(`${flag}: ${crlFile} holds no certificate revocation list`, () =>
    readRevocationLists(bytes),
  );
}

function parse<T>(failure: string, read: () => T): T {
  try {
    return read();
  } catch {
    // OpenSSL's words for a broken file help nobody, and might quote it.
    throw new ConfigError(failure);
  }
}

const readReasons: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  EACCES: "permission denied",
  EISDIR: "it is a directory",
};

function readFile(flag: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    throw new ConfigError(`${flag}: cannot read ${path}: ${readReasons[code] ?? reasonOf(error)}`);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
