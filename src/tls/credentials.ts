// The certificates in use on one kind of port, and who is let in with which.
//
// Before each handshake the files are looked at, as etcd does; when one has changed, all are read
// again. New files that do not fit together (one of two not written yet, say) are logged once, and
// what was in use stays in use.

import type { X509Certificate } from "node:crypto";
import { statSync } from "node:fs";
import { isIP } from "node:net";
import {
  checkServerIdentity,
  type ConnectionOptions,
  type PeerCertificate,
  type TlsOptions,
  type TLSSocket,
} from "node:tls";
import type { Logger } from "../base/index.ts";
import { filesOf, loadMaterial, type TlsMaterial } from "./material.ts";
import { serialText } from "./revocation.ts";
import type { TlsSettings } from "./settings.ts";

export class TlsCredentials {
  readonly #settings: TlsSettings;
  readonly #logger: Logger;
  #material: TlsMaterial;
  #serverOptions: TlsOptions;
  #signature: string;

  /** Throws ConfigError when the files are not right. */
  constructor(settings: TlsSettings, logger: Logger) {
    this.#settings = settings;
    this.#logger = logger;
    this.#signature = signatureOf(settings);
    this.#material = loadMaterial(settings);
    this.#serverOptions = this.#optionsOf(this.#material);
    this.#warn();
  }

  /** Whether clients must show a certificate that the trusted authorities signed. */
  get requiresCertificate(): boolean {
    return this.#settings.clientCertAuth || this.#settings.trustedCaFile !== "";
  }

  /** For the next handshake as a server: another object whenever the files have changed. */
  serverOptions(): TlsOptions {
    this.#refresh();
    return this.#serverOptions;
  }

  /** For connecting to `host`. */
  clientOptions(host: string): ConnectionOptions {
    this.#refresh();
    const { auto, serverName } = this.#settings;
    const name = serverName === "" ? host : serverName;
    return {
      secureContext: this.#material.client,
      rejectUnauthorized: !auto,
      ...(isIP(name) === 0 ? { servername: name } : {}),
      checkServerIdentity: (_host, certificate) => this.#serverRefusal(name, certificate),
    };
  }

  /** Why the client at the other end of an accepted socket is refused; undefined to let it in. */
  refusal(socket: TLSSocket): string | undefined {
    const { allowedCommonNames, allowedHostNames } = this.#settings;
    const hasList = allowedCommonNames.length > 0 || allowedHostNames.length > 0;
    if (!this.requiresCertificate && !hasList) {
      return undefined;
    }
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) {
      return "no client certificate";
    }
    if (!socket.authorized) {
      return `client certificate not trusted: ${String(socket.authorizationError)}`;
    }
    if (this.#isRevoked(chainOf(certificate))) {
      return `certificate serial ${certificate.serialNumber.toLowerCase()} revoked`;
    }
    const names = commonNames(certificate.toLegacyObject());
    if (allowedCommonNames.length > 0 && !allowedCommonNames.some((cn) => names.includes(cn))) {
      return `common name ${names.join(", ") || "(none)"} not allowed`;
    }
    if (allowedHostNames.length > 0 && !allowedHostNames.some((h) => standsFor(certificate, h))) {
      return `none of the allowed host names in the certificate`;
    }
    return undefined;
  }

  #serverRefusal(name: string, certificate: PeerCertificate): Error | undefined {
    const { allowedCommonNames, allowedHostNames } = this.#settings;
    const mismatch = checkServerIdentity(name, certificate);
    if (mismatch !== undefined) {
      return mismatch;
    }
    if (this.#material.revoked.has(serialText(certificate.serialNumber))) {
      return new Error(`certificate serial ${certificate.serialNumber.toLowerCase()} revoked`);
    }
    const names = commonNames(certificate);
    const isNamed =
      allowedCommonNames.length === 0 || allowedCommonNames.some((cn) => names.includes(cn));
    const isHost =
      allowedHostNames.length === 0 ||
      allowedHostNames.some((host) => checkServerIdentity(host, certificate) === undefined);
    return isNamed && isHost ? undefined : new Error("the server's certificate is not allowed");
  }

  #isRevoked(chain: readonly X509Certificate[]): boolean {
    const { revoked } = this.#material;
    return revoked.size > 0 && chain.some((each) => revoked.has(serialText(each.serialNumber)));
  }

  #refresh(): void {
    const signature = signatureOf(this.#settings);
    if (signature === this.#signature) {
      return;
    }
    this.#signature = signature;
    const { role } = this.#settings;
    try {
      this.#material = loadMaterial(this.#settings);
      this.#serverOptions = this.#optionsOf(this.#material);
      this.#logger.info(
        { role, "not-after": this.#material.notAfter },
        "reloaded TLS certificates",
      );
      this.#warn();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#logger.warn({ role, reason }, "new TLS files cannot be used; keeping the old ones");
    }
  }

  #optionsOf({ server }: TlsMaterial): TlsOptions {
    // Who is refused is decided by `refusal`, which can say why; Node would only hang up.
    return { ...server, requestCert: this.requiresCertificate, rejectUnauthorized: false };
  }

  #warn(): void {
    const { notAfter, exposedKeys } = this.#material;
    for (const path of exposedKeys) {
      this.#logger.warn({ path }, "private key can be read by others on this machine (chmod 600)");
    }
    if (notAfter.getTime() <= Date.now()) {
      const { role } = this.#settings;
      this.#logger.warn({ role, "not-after": notAfter }, "TLS certificate has expired");
    }
  }
}

/** Changes whenever one of the files does. */
function signatureOf(settings: TlsSettings): string {
  return filesOf(settings)
    .map((path) => {
      const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
      return stat === undefined ? "absent" : `${stat.mtimeNs}/${stat.size}/${stat.ino}`;
    })
    .join(" ");
}

function chainOf(leaf: X509Certificate): X509Certificate[] {
  const chain = [leaf];
  for (let next = leaf.issuerCertificate; next !== undefined; next = next.issuerCertificate) {
    if (chain.some((each) => each.fingerprint256 === next?.fingerprint256)) {
      break;
    }
    chain.push(next);
  }
  return chain;
}

function commonNames(certificate: PeerCertificate): string[] {
  const name = (certificate.subject as Partial<PeerCertificate["subject"]> | undefined)?.CN;
  return name === undefined ? [] : [name].flat();
}

/** By its alternative names only, as in Go. */
function standsFor(certificate: X509Certificate, host: string): boolean {
  const found =
    isIP(host) === 0
      ? certificate.checkHost(host, { subject: "never" })
      : certificate.checkIP(host);
  return found !== undefined;
}
