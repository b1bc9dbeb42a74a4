// tls: certificates for the ports of clients and of members.
//
// What it is. settings.ts says what the flags ask for, material.ts reads the files and finds them
// to fit, credentials.ts holds what is in use, takes new files without a restart and decides who is
// let in. x509.ts and der.ts make certificates, which Node.js cannot, for --auto-tls
// (self-signed.ts); revocation.ts reads revocation lists.
//
// Rules:
// - Nothing is listened on, and nothing written, before all files have been read and fit.
// - A refusal has a reason, and it is logged: sockets are taken with `rejectUnauthorized: false`
//   and must pass `TlsCredentials.refusal` before a byte of theirs is read.
// - Private keys are never in a message, and OpenSSL's words about broken files are not passed on.
//
// Limits: keys with a password cannot be used, as in etcd; a connection once made is not looked at
// again when a certificate expires or is revoked; revocation lists are the operator's files, there
// is no OCSP.

export { addressRefusal, type NameResolver, systemResolver } from "./address-check.ts";
export { TlsCredentials } from "./credentials.ts";
export { withSelfSigned } from "./self-signed.ts";
export { isTlsConfigured, readTlsShape, tlsFlag } from "./settings.ts";
export type { TlsRole, TlsSettings, TlsShape } from "./settings.ts";
