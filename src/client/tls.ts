// How an endpoint is reached: its address as grpc-js writes it, and whether by TLS.

import { X509Certificate } from "node:crypto";
import { type ChannelCredentials, credentials } from "@grpc/grpc-js";

/** TLS towards the servers. All certificates and keys are PEM. */
export interface TlsOptions {
  /** Whom to trust to sign servers' certificates; Node's own list when not given. */
  readonly ca?: Uint8Array | undefined;
  /** This client's certificate, for servers that ask for one; needs `privateKey`. */
  readonly certificate?: Uint8Array | undefined;
  readonly privateKey?: Uint8Array | undefined;
  /** The name that servers' certificates must be for, instead of the endpoint's host. */
  readonly serverName?: string | undefined;
  /** Takes any certificate. The connection is then encrypted, but to whomever answers. */
  readonly insecureSkipVerify?: boolean | undefined;
}

/** What a channel to an endpoint is made with. */
export interface Reach {
  /** A target of grpc-js. */
  readonly target: string;
  readonly credentials: ChannelCredentials;
  readonly options: Readonly<Record<string, string>>;
}

function buffer(bytes: Uint8Array | undefined): Buffer | null {
  return bytes === undefined ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Throws TypeError for certificates that do not parse or do not fit together. */
export function tlsCredentials(tls: TlsOptions): ChannelCredentials {
  if ((tls.certificate === undefined) !== (tls.privateKey === undefined)) {
    throw new TypeError("tls needs both certificate and privateKey, or neither");
  }
  try {
    if (tls.ca !== undefined) {
      // OpenSSL takes a list without any certificate in it for an empty one.
      new X509Certificate(tls.ca);
    }
    return credentials.createSsl(
      buffer(tls.ca),
      buffer(tls.privateKey),
      buffer(tls.certificate),
      tls.insecureSkipVerify === true
        ? { rejectUnauthorized: false, checkServerIdentity: () => undefined }
        : {},
    );
  } catch (error) {
    // OpenSSL's own words name no option, and may hold parts of a key.
    throw new TypeError("tls: ca, certificate or privateKey is no valid PEM, or they do not fit", {
      cause: error,
    });
  }
}

/**
 * "https://" (and "unixs:") means TLS, "http://" (and "unix:") means none; an endpoint that says
 * neither uses TLS when `tls` is given. As etcd's Go client reads endpoints.
 */
export function reachOf(endpoint: string, tls: TlsOptions | undefined): Reach {
  const secure =
    /^(?:https:\/\/|unixs:)/.test(endpoint) ||
    (tls !== undefined && !/^(?:http:\/\/|unix:)/.test(endpoint));
  const target = endpoint
    .replace(/^https?:\/\//, "")
    .replace(/^unixs:/, "unix:")
    .replace(/\/$/, "");
  if (target === "" || /[\s?#]|^[a-z]+:\/\/(?!\/)/.test(target)) {
    throw new RangeError(`not an endpoint: "${endpoint}"`);
  }
  const name = tls?.serverName;
  return {
    target,
    credentials: secure ? tlsCredentials(tls ?? {}) : credentials.createInsecure(),
    options:
      secure && name !== undefined && name !== ""
        ? { "grpc.ssl_target_name_override": name, "grpc.default_authority": name }
        : {},
  };
}
