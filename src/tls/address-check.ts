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
  if (dnsNames.length > 0 && (await isAnyOf(address, dnsNames, resolver))) {
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

/** All lookups at once, and the first match decides: one of the two directions may be slow. */
async function isAnyOf(
  address: string,
  dnsNames: readonly string[],
  resolver: NameResolver,
): Promise<boolean> {
  const isNamed = async (): Promise<boolean> => {
    const known = (await resolver.namesOf(address)).map((name) => name.replace(/\.$/, ""));
    return dnsNames.some((dnsName) =>
      dnsName.startsWith("*.")
        ? known.some((name) => name.endsWith(dnsName.slice(1)))
        : known.includes(dnsName),
    );
  };
  const leadsHere = async (dnsName: string): Promise<boolean> =>
    (await resolver.addressesOf(dnsName)).includes(address);
  const names = dnsNames.filter((dnsName) => !dnsName.startsWith("*."));
  try {
    await Promise.any([isNamed(), ...names.map(leadsHere)].map(mustHold));
    return true;
  } catch {
    // None matched; a name that does not resolve matches nothing.
    return false;
  }
}

async function mustHold(answer: Promise<boolean>): Promise<void> {
  if (!(await answer)) {
    throw new Error("no match");
  }
}
