// Flags about TLS and authentication. Those that would make a server safer are refused until they
// work: a server that starts without the protection it was asked for is worse than one that does
// not start.

import { type Flag, type FlagKind, rowsOf } from "./flag.ts";

const row = rowsOf("Security");
const auth = rowsOf("Auth");

function tls(name: string, kind: FlagKind = "string", defaultText = ""): Flag {
  return row(name, kind, defaultText, "refused", "TLS: not yet.");
}

/** A flag that only shapes TLS and asks for none by itself. */
function tlsDetail(name: string, kind: FlagKind, defaultText: string): Flag {
  return row(name, kind, defaultText, "planned", "TLS: not yet.");
}

export const securityFlags: readonly Flag[] = [
  tls("cert-file"),
  tls("key-file"),
  tls("client-cert-file"),
  tls("client-key-file"),
  tls("client-cert-auth", "bool", "false"),
  tls("client-crl-file"),
  tls("client-cert-allowed-hostname", "list"),
  tls("trusted-ca-file"),
  tls("auto-tls", "bool", "false"),
  tls("peer-cert-file"),
  tls("peer-key-file"),
  tls("peer-client-cert-file"),
  tls("peer-client-key-file"),
  tls("peer-client-cert-auth", "bool", "false"),
  tls("peer-trusted-ca-file"),
  tls("peer-auto-tls", "bool", "false"),
  tls("peer-crl-file"),
  tls("peer-cert-allowed-cn", "list"),
  tls("peer-cert-allowed-hostname", "list"),
  tls("peer-skip-client-san-verification", "bool", "false"),
  tlsDetail("self-signed-cert-validity", "uint", "1"),
  tlsDetail("cipher-suites", "list", ""),
  tlsDetail("tls-min-version", "string", "TLS1.2"),
  tlsDetail("tls-max-version", "string", ""),
  row("cors", "list", "*", "refused", "Origins that browsers may call from: not yet; all may."),
  row("host-whitelist", "list", "*", "refused", "Host names HTTP clients may use: not yet."),
  auth("auth-token", "string", "simple", "refused", "Kind of authentication token: not yet."),
  auth("bcrypt-cost", "uint", "10", "planned", "Cost of hashing a password: not yet."),
  auth("auth-token-ttl", "uint", "300", "planned", "Seconds a simple token lives: not yet."),
];
