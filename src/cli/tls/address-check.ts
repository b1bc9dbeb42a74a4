// Whether a member calls from where its certificate says it is: its address must be one of the
// names in it. The rules are etcd's (client/pkg/transport, since 3.2).

import type { X509Certificate } from "node:crypto";
import { lookup, reverse } from "node:dns/promises";
import { isIP } from "node:net";

/** What the check asks DNS. */
export interface NameResolver {
  addressesOf(name: string): Promise<readonly string[]>;
  namesOf(address: string): Promise<readonly string[]>;
}

export const systemResolver: NameResolver = {
  addressesOf: async (name) => (await lookup(name, { all: true })).map(({ address }) => address),
  namesOf: (address) => reverse(address),
};

/** Why a member calling from `remoteAddress` is refused; undefined to let it in. */
export async function addressRefusal(
  certificate: X509Certificate,
  remoteAddress: string,
  resolver: NameResolver,
): Promise<string | undefined> {
  const address = remoteAddress.replace(/^::ffff:(?=\d+\.)/, "");
  const { dnsNames, hasAddresses } = namesIn(certificate);
  if ((!hasAddresses && dnsNames.length === 0) || isFrom(certificate, address)) {
    return undefined;
  }
  if (await isAnyOf(address, dnsNames, resolver)) {
    return undefined;
  }
  return dnsNames.length === 0
    ? `certificate is not valid for ${address}`
    : `${address} does not match any of DNSNames ${JSON.stringify(dnsNames)}`;
}

function isFrom(certificate: X509Certificate, address: string): boolean {
  return isIP(address) !== 0 && certificate.checkIP(address) !== undefined;
}

function namesIn({ subjectAltName = "" }: X509Certificate): {
  readonly dnsNames: readonly string[];
  readonly hasAddresses: boolean;
} {
  const names = subjectAltName.split(", ");
  return {
    dnsNames: names.filter((name) => name.startsWith("DNS:")).map((name) => name.slice(4)),
    hasAddresses: names.some((name) => name.startsWith("IP Address:")),
  };
}

async function isAnyOf(
  address: string,
  dnsNames: readonly string[],
  resolver: NameResolver,
): Promise<boolean> {
  if (dnsNames.length === 0) {
    return false;
  }
  const known = (await orNone(resolver.namesOf(address))).map((name) => name.replace(/\.$/, ""));
  for (const dnsName of dnsNames) {
    const isKnown = dnsName.startsWith("*.")
      ? known.some((name) => name.endsWith(dnsName.slice(1)))
      : known.includes(dnsName) || (await orNone(resolver.addressesOf(dnsName))).includes(address);
    if (isKnown) {
      return true;
    }
  }
  return false;
}

/** A name that does not resolve matches nothing. */
function orNone(names: Promise<readonly string[]>): Promise<readonly string[]> {
  return names.catch(() => []);
}
