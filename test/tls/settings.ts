// TlsSettings for tests.

import { readTlsShape, type TlsSettings } from "../../src/cli/tls/index.ts";

export function tlsSettings(changes: Partial<TlsSettings> = {}): TlsSettings {
  return {
    role: "client",
    certFile: "",
    keyFile: "",
    clientCertFile: "",
    clientKeyFile: "",
    trustedCaFile: "",
    crlFile: "",
    clientCertAuth: false,
    allowedCommonNames: [],
    allowedHostNames: [],
    auto: false,
    skipAddressCheck: false,
    serverName: "",
    shape: readTlsShape("", "", []),
    ...changes,
  };
}
