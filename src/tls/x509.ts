// Making X.509 certificates (RFC 5280), since Node.js can only read them: ECDSA with SHA-256.

import { type KeyObject, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";
import { bitString, der, derTag, derTime, objectId, sequence, unsignedInteger } from "./der.ts";

export interface CertificateSpec {
  readonly subject: SubjectName;
  /** Who signs: the subject itself in a self-signed certificate. */
  readonly issuer: SubjectName;
  readonly publicKey: KeyObject;
  /** The issuer's private key, on an elliptic curve. */
  readonly signingKey: KeyObject;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** May sign other certificates. */
  readonly isAuthority: boolean;
  /** Host names and IP addresses that it stands for. */
  readonly hosts: readonly string[];
  readonly usages: readonly ("server" | "client")[];
  /** A random one unless given; highest byte first. */
  readonly serial?: Uint8Array | undefined;
}

export interface SubjectName {
  readonly organization?: string | undefined;
  readonly commonName?: string | undefined;
}

const critical = der(derTag.boolean, Uint8Array.of(0xff));
const ecdsaWithSha256 = sequence(objectId("1.2.840.10045.4.3.2"));
const usageIds = { server: "1.3.6.1.5.5.7.3.1", client: "1.3.6.1.5.5.7.3.2" } as const;

/** The certificate in DER. */
export function makeCertificate(spec: CertificateSpec): Buffer {
  const toBeSigned = sequence(
    der(0xa0, unsignedInteger(Uint8Array.of(2))),
    unsignedInteger(spec.serial ?? randomBytes(16)),
    ecdsaWithSha256,
    nameOf(spec.issuer),
    sequence(derTime(spec.notBefore), derTime(spec.notAfter)),
    nameOf(spec.subject),
    spec.publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(...extensionsOf(spec))),
  );
  const signature = sign("sha256", toBeSigned, spec.signingKey);
  return sequence(toBeSigned, ecdsaWithSha256, bitString(signature));
}

/** A distinguished name; organization first, as Go writes it. */
export function nameOf({ organization, commonName }: SubjectName): Buffer {
  const part = (id: string, text: string | undefined): Buffer[] =>
    text === undefined
      ? []
      : [der(derTag.set, sequence(objectId(id), der(derTag.utf8String, Buffer.from(text))))];
  return sequence(...part("2.5.4.10", organization), ...part("2.5.4.3", commonName));
}

function extensionsOf({ isAuthority, hosts, usages }: CertificateSpec): Buffer[] {
  const extension = (id: string, isCritical: boolean, value: Uint8Array): Buffer =>
    sequence(objectId(id), ...(isCritical ? [critical] : []), der(derTag.octetString, value));
  // digitalSignature and keyEncipherment, or keyCertSign and cRLSign.
  const keyUsage = isAuthority
    ? bitString(Uint8Array.of(0x06), 1)
    : bitString(Uint8Array.of(0xa0), 5);
  const constraints = isAuthority ? sequence(der(derTag.boolean, Uint8Array.of(0xff))) : sequence();
  const extensions = [
    extension("2.5.29.15", true, keyUsage),
    extension("2.5.29.19", true, constraints),
  ];
  if (usages.length > 0) {
    const ids = usages.map((usage) => objectId(usageIds[usage]));
    extensions.push(extension("2.5.29.37", false, sequence(...ids)));
  }
  if (hosts.length > 0) {
    extensions.push(extension("2.5.29.17", false, sequence(...hosts.map(alternativeName))));
  }
  return extensions;
}

function alternativeName(host: string): Buffer {
  return isIP(host) === 0 ? der(0x82, Buffer.from(host)) : der(0x87, addressBytes(host));
}

/** The 4 or 16 bytes of an IP address. */
function addressBytes(address: string): Uint8Array {
  if (isIP(address) === 4) {
    return Uint8Array.from(address.split("."), Number);
  }
  // URL writes every IPv6 address in its one short form, of hexadecimal groups only.
  const short = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = "", tail = ""] = short.split("::");
  const groups = (text: string): number[] =>
    text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
  const [left, right] = [groups(head), groups(tail)];
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => 0);
  return Uint8Array.from(
    [...left, ...zeros, ...right].flatMap((group) => [group >>> 8, group & 0xff]),
  );
}
