// TlsSettings and a log for tests.

import type { Logger } from "../../src/base/index.ts";
import { readTlsShape, type TlsSettings } from "../../src/tls/index.ts";

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

/** A log that is only remembered: level, message and fields as one line each. */
export class RememberedLog implements Logger {
  readonly lines: string[] = [];

  debug(fields: object, message: string): void {
    this.#add("debug", fields, message);
  }
  info(fields: object, message: string): void {
    this.#add("info", fields, message);
  }
  warn(fields: object, message: string): void {
    this.#add("warn", fields, message);
  }
  error(fields: object, message: string): void {
    this.#add("error", fields, message);
  }

  /** The lines that hold `text`. */
  with(text: string): string[] {
    return this.lines.filter((line) => line.includes(text));
  }

  #add(level: string, fields: object, message: string): void {
    this.lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  }
}
