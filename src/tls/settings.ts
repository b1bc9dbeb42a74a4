// What the flags say of TLS on one kind of port, and the words for versions and cipher suites.

import { ConfigError, quoted } from "../base/index.ts";

/** Which ports: those of clients, or those between members. */
export type TlsRole = "client" | "peer";

export interface TlsSettings {
  readonly role: TlsRole;
  /** Paths; empty where there is none. Certificate and key come together. */
  readonly certFile: string;
  readonly keyFile: string;
  /** What this server shows when it is the one that connects; else the two above. */
  readonly clientCertFile: string;
  readonly clientKeyFile: string;
  readonly trustedCaFile: string;
  readonly crlFile: string;
  /** Clients must show a certificate. A trusted authority asks for the same. */
  readonly clientCertAuth: boolean;
  /** Not both; empty for any. */
  readonly allowedCommonNames: readonly string[];
  readonly allowedHostNames: readonly string[];
  /** Make a certificate of one's own and trust everybody's. */
  readonly auto: boolean;
  /** Do not compare a client's address with the names in its certificate. Peers only. */
  readonly skipAddressCheck: boolean;
  /** Instead of the host of a URL, the name that a server's certificate must have; or empty. */
  readonly serverName: string;
  readonly shape: TlsShape;
}

/** What holds for every port alike. */
export interface TlsShape {
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  /** OpenSSL's list; undefined for Node's own choice. */
  readonly ciphers: string | undefined;
}

export type TlsVersion = "TLSv1.2" | "TLSv1.3";

/** The flag of `role` that is called `name` for clients. */
export function tlsFlag(role: TlsRole, name: string): string {
  return role === "peer" ? `--peer-${name.replace(/^client-(?=crl-)/, "")}` : `--${name}`;
}

/** Whether there is a certificate to serve with, from files or of our own making. */
export function isTlsConfigured(settings: TlsSettings): boolean {
  return settings.auto || settings.certFile !== "" || settings.keyFile !== "";
}

const versions: Readonly<Record<string, TlsVersion>> = {
  "TLS1.2": "TLSv1.2",
  "TLS1.3": "TLSv1.3",
};

/** Go's names of the suites before TLS 1.3 -> OpenSSL's. */
const suites: Readonly<Record<string, string>> = {
  TLS_RSA_WITH_AES_128_CBC_SHA: "AES128-SHA",
  TLS_RSA_WITH_AES_256_CBC_SHA: "AES256-SHA",
  TLS_RSA_WITH_AES_128_CBC_SHA256: "AES128-SHA256",
  TLS_RSA_WITH_AES_128_GCM_SHA256: "AES128-GCM-SHA256",
  TLS_RSA_WITH_AES_256_GCM_SHA384: "AES256-GCM-SHA384",
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: "ECDHE-ECDSA-AES128-SHA",
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: "ECDHE-ECDSA-AES256-SHA",
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256: "ECDHE-ECDSA-AES128-SHA256",
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: "ECDHE-RSA-AES128-SHA",
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: "ECDHE-RSA-AES256-SHA",
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256: "ECDHE-RSA-AES128-SHA256",
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: "ECDHE-ECDSA-AES128-GCM-SHA256",
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: "ECDHE-ECDSA-AES256-GCM-SHA384",
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: "ECDHE-RSA-AES128-GCM-SHA256",
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: "ECDHE-RSA-AES256-GCM-SHA384",
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305: "ECDHE-ECDSA-CHACHA20-POLY1305",
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305: "ECDHE-RSA-CHACHA20-POLY1305",
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-RSA-CHACHA20-POLY1305",
};

/** The suites of TLS 1.3 cannot be chosen, as in Go. */
const suites13 = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
] as const;

/** Reads --tls-min-version, --tls-max-version and --cipher-suites. The texts are etcd's. */
export function readTlsShape(min: string, max: string, names: readonly string[]): TlsShape {
  const minVersion = versionOf(min === "" ? "TLS1.2" : min);
  const maxVersion = versionOf(max === "" ? "TLS1.3" : max);
  if (minVersion > maxVersion) {
    throw new ConfigError(`min version (${min}) is greater than max version (${max})`);
  }
  if (names.length > 0 && minVersion === "TLSv1.3") {
    throw new ConfigError("cipher suites cannot be configured when only TLS1.3 is enabled");
  }
  const chosen = names.map((name) => {
    const suite = suites[name] ?? suites13.find((each) => each === name);
    if (suite === undefined) {
      throw new ConfigError(`unexpected TLS cipher suite ${quoted(name)}`);
    }
    return suite;
  });
  const ciphers = names.length === 0 ? undefined : [...new Set([...chosen, ...suites13])].join(":");
  return { minVersion, maxVersion, ciphers };
}

function versionOf(text: string): TlsVersion {
  const version = versions[text];
  if (version === undefined) {
    throw new ConfigError(
      `unexpected TLS version ${quoted(text)} (must be one of: TLS1.2, TLS1.3)`,
    );
  }
  return version;
}
