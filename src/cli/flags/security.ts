// Flags about TLS, about who may call over HTTP, and about authentication.

import { type Flag, type FlagKind, rowsOf } from "./flag.ts";

const row = rowsOf("Security");
const auth = rowsOf("Auth");

function tls(name: string, doc: string, kind: FlagKind = "string", defaultText = ""): Flag {
  return row(name, kind, defaultText, "works", doc);
}

const noClient = "No meaning here: the JSON gateway calls the server without a connection.";

export const securityFlags: readonly Flag[] = [
  tls(
    "cert-file",
    "Certificate shown to clients, with its chain, in PEM; read again when it changes.",
  ),
  tls("key-file", "Its private key."),
  row("client-cert-file", "string", "", "ignored", noClient),
  row("client-key-file", "string", "", "ignored", noClient),
  tls("client-cert-auth", "Clients must show a trusted certificate.", "bool", "false"),
  tls("client-crl-file", "List of revoked client certificates, DER or PEM."),
  tls(
    "client-cert-allowed-hostname",
    "Names of which a client's certificate must have one.",
    "list",
  ),
  tls("trusted-ca-file", "Authorities for client certificates; asks for them too."),
  tls("auto-tls", "Serve clients with a self-signed certificate.", "bool", "false"),
  tls("peer-cert-file", "Certificate shown to members."),
  tls("peer-key-file", "Its private key."),
  tls("peer-client-cert-file", "Another certificate for connecting to members."),
  tls("peer-client-key-file", "Its private key."),
  tls("peer-client-cert-auth", "Members must show a trusted certificate.", "bool", "false"),
  tls("peer-trusted-ca-file", "Authorities for members' certificates; asks for them too."),
  tls("peer-auto-tls", "Encrypt between members with self-signed certificates.", "bool", "false"),
  tls("peer-crl-file", "List of revoked members' certificates, DER or PEM."),
  tls(
    "peer-cert-allowed-cn",
    "Common names of which a member's certificate must have one.",
    "list",
  ),
  tls("peer-cert-allowed-hostname", "Names of which a member's certificate must have one.", "list"),
  tls(
    "peer-skip-client-san-verification",
    "Members may call from elsewhere than their certificate says.",
    "bool",
    "false",
  ),
  tls("self-signed-cert-validity", "Years that certificates of our own making last.", "uint", "1"),
  tls("cipher-suites", "Suites for TLS 1.2, by Go's names, separated by commas.", "list"),
  tls("tls-min-version", "TLS1.2 or TLS1.3.", "string", "TLS1.2"),
  tls("tls-max-version", "TLS1.2 or TLS1.3; empty for the newest."),
  tls("cors", "Origins whose pages may call over HTTP; * for all.", "list", "*"),
  tls("host-whitelist", "Host names that plain HTTP may be asked for; * for all.", "list", "*"),
  auth(
    "auth-token",
    "string",
    "simple",
    "works",
    "Tokens of users: simple, or jwt,sign-method=RS256,pub-key=...,priv-key=...,ttl=5m.",
  ),
  auth("bcrypt-cost", "uint", "10", "works", "Cost of hashing a password, 4 to 31."),
  auth("auth-token-ttl", "uint", "300", "works", "Seconds that a simple token lives unused."),
];
