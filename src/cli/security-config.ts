// The part of the configuration about TLS and about who may call over HTTP.

import type { SecurityConfig, ServerUrl } from "../server/index.ts";
import {
  isTlsConfigured,
  readTlsShape,
  tlsFlag,
  type TlsRole,
  type TlsSettings,
} from "../tls/index.ts";
import { ConfigError } from "./config-error.ts";
import type { SettingReader } from "./setting-reader.ts";
import type { Notice } from "./settings.ts";

/** Throws ConfigError. */
export function readSecurity(read: SettingReader): SecurityConfig {
  return {
    clientTls: readTls(read, "client"),
    peerTls: readTls(read, "peer"),
    selfSignedValidityYears: read.positive("self-signed-cert-validity"),
    corsOrigins: read.list("cors"),
    hostNamesAllowed: read.list("host-whitelist"),
  };
}

function readTls(read: SettingReader, role: TlsRole): TlsSettings | undefined {
  const name = (clientName: string): string => tlsFlag(role, clientName).slice(2);
  const isPeer = role === "peer";
  const certFile = read.text(name("cert-file"));
  const keyFile = read.text(name("key-file"));
  const settings: TlsSettings = {
    role,
    certFile,
    keyFile,
    clientCertFile: isPeer ? read.text("peer-client-cert-file") : "",
    clientKeyFile: isPeer ? read.text("peer-client-key-file") : "",
    trustedCaFile: read.text(name("trusted-ca-file")),
    crlFile: read.text(name("client-crl-file")),
    clientCertAuth: read.bool(name("client-cert-auth")),
    allowedCommonNames: isPeer ? read.list("peer-cert-allowed-cn") : [],
    allowedHostNames: read.list(
      isPeer ? "peer-cert-allowed-hostname" : "client-cert-allowed-hostname",
    ),
    auto: read.bool(name("auto-tls")) && certFile === "" && keyFile === "",
    skipAddressCheck: isPeer && read.bool("peer-skip-client-san-verification"),
    // As in etcd: where members are found by SRV records and no authority is named, certificates
    // are for the domain.
    serverName:
      isPeer && read.text("peer-trusted-ca-file") === "" ? read.text("discovery-srv") : "",
    shape: readTlsShape(
      read.text("tls-min-version"),
      read.text("tls-max-version"),
      read.list("cipher-suites"),
    ),
  };
  checkTls(settings);
  return isTlsConfigured(settings) ? settings : undefined;
}

function checkTls(settings: TlsSettings): void {
  const { role, allowedCommonNames, allowedHostNames, auto } = settings;
  if (allowedCommonNames.length > 0 && allowedHostNames.length > 0) {
    throw new ConfigError(
      "AllowedCN and AllowedHostname are mutually exclusive " +
        `(cn=${JSON.stringify(allowedCommonNames)}, hostname=${JSON.stringify(allowedHostNames)})`,
    );
  }
  const asksForTrust =
    settings.clientCertAuth ||
    settings.trustedCaFile !== "" ||
    allowedCommonNames.length > 0 ||
    allowedHostNames.length > 0;
  if (role === "peer" && auto && asksForTrust) {
    throw new ConfigError(
      "--peer-auto-tls makes certificates that nobody can check: it does not go with " +
        "--peer-client-cert-auth, --peer-trusted-ca-file or --peer-cert-allowed-*",
    );
  }
}

/** Throws ConfigError when an https address among those to listen on has no certificate. */
export function checkListenSchemes(
  urls: readonly ServerUrl[],
  role: TlsRole,
  tls: TlsSettings | undefined,
): void {
  for (const { scheme, text } of urls) {
    if ((scheme === "https" || scheme === "unixs") && tls === undefined) {
      throw new ConfigError(
        `TLS key/cert (${tlsFlag(role, "cert-file")}, ${tlsFlag(role, "key-file")}) must be ` +
          `provided for ${role} url ${text} with HTTPS scheme`,
      );
    }
  }
}

/** Warnings about protection that was asked for and that an address does not have. */
export function securityNotices(
  read: SettingReader,
  role: TlsRole,
  urls: readonly ServerUrl[],
): Notice[] {
  const given = ["cert-file", "key-file", "client-cert-auth", "trusted-ca-file", "auto-tls"]
    .map((name) => tlsFlag(role, name))
    .filter((flag) => read.isSet(flag.slice(2)) && read.text(flag.slice(2)) !== "false");
  const notices = urls
    .filter(({ scheme }) => scheme === "http" && given.length > 0)
    .map(
      ({ text }): Notice => ({
        level: "warn",
        fields: { url: text, flags: given },
        message: `scheme is HTTP while TLS is configured; this ${role} address is not encrypted`,
      }),
    );
  const [auto, cert] = [tlsFlag(role, "auto-tls"), tlsFlag(role, "cert-file")];
  if (read.bool(auto.slice(2)) && read.text(cert.slice(2)) !== "") {
    const message = `ignoring ${role} auto TLS since certs given`;
    notices.push({ level: "warn", fields: { flag: auto }, message });
  }
  return notices;
}
