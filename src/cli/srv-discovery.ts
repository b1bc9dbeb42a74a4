// --discovery-srv: the first members from DNS. _etcd-server-ssl._tcp.<domain> names those with
// https, _etcd-server._tcp.<domain> those with http; --discovery-srv-name puts a suffix behind the
// service's name. The rules are etcd's (client/pkg/srv): the URLs are made of the records' own
// names, and this member is the one whose record leads to an address that it advertises.

import { lookup, resolveSrv } from "node:dns/promises";
import { isIP } from "node:net";
import type { InitialMember } from "../server/index.ts";
import type { SrvDiscovery } from "./discovery-config.ts";
import { ConfigError, quoted } from "./config-error.ts";

export interface SrvRecord {
  readonly name: string;
  readonly port: number;
}

export interface SrvResolver {
  recordsOf(service: string): Promise<readonly SrvRecord[]>;
  addressesOf(host: string): Promise<readonly string[]>;
}

export const systemSrvResolver: SrvResolver = {
  recordsOf: (service) => resolveSrv(service),
  addressesOf: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
};

/** The members, by name; the others are called by their host and port. Throws ConfigError. */
export async function discoverMembers(
  { domain, serviceSuffix }: SrvDiscovery,
  ownName: string,
  advertisePeerUrls: readonly string[],
  resolver: SrvResolver,
): Promise<InitialMember[]> {
  const suffix = serviceSuffix === "" ? "" : `-${serviceSuffix}`;
  const services = [
    ["https", `_etcd-server-ssl${suffix}._tcp.${domain}`],
    ["http", `_etcd-server${suffix}._tcp.${domain}`],
  ] as const;
  const failures: string[] = [];
  const urls: string[] = [];
  for (const [scheme, service] of services) {
    try {
      const records = await resolver.recordsOf(service);
      urls.push(...records.map((record) => urlOf(scheme, record)));
    } catch (error) {
      failures.push(`${service}: ${(error as Error).message}`);
    }
  }
  if (urls.length === 0) {
    throw new ConfigError(
      `--discovery-srv found no members (${failures.join("; ") || "no records"})`,
    );
  }
  const own = await ownUrls(urls, advertisePeerUrls, resolver);
  if (own.length === 0) {
    throw new ConfigError(
      `cannot find local etcd member ${quoted(ownName)} in SRV records: none of ` +
        `${urls.join(", ")} leads to --initial-advertise-peer-urls=${advertisePeerUrls.join(",")}`,
    );
  }
  const others = urls
    .filter((url) => !own.includes(url))
    .map((url) => ({ name: new URL(url).host, peerUrls: [url] }));
  return [{ name: ownName, peerUrls: own.sort() }, ...others].sort((a, b) =>
    a.name < b.name ? -1 : 1,
  );
}

function urlOf(scheme: string, { name, port }: SrvRecord): string {
  const host = name.replace(/\.$/, "");
  return `${scheme}://${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}

async function ownUrls(
  urls: readonly string[],
  advertised: readonly string[],
  resolver: SrvResolver,
): Promise<string[]> {
  const places = new Map<string, string>();
  for (const url of advertised) {
    for (const place of await placesOf(url, resolver)) {
      places.set(place, url);
    }
  }
  const own: string[] = [];
  for (const url of urls) {
    const match = (await placesOf(url, resolver)).find((place) => places.has(place));
    const given = match === undefined ? undefined : places.get(match);
    if (given !== undefined && new URL(given).protocol !== new URL(url).protocol) {
      throw new ConfigError(`SRV records name ${url} where this member advertises ${given}`);
    }
    if (given !== undefined) {
      own.push(url);
    }
  }
  return own;
}

/** Every address and port that a URL leads to; none when its name does not resolve. */
async function placesOf(url: string, resolver: SrvResolver): Promise<string[]> {
  const match = /^https?:\/\/(.*):(\d+)$/.exec(url);
  const host = (match?.[1] ?? "").replace(/^\[(.*)\]$/, "$1");
  const addresses = isIP(host) === 0 ? await resolver.addressesOf(host).catch(() => []) : [host];
  return addresses.map((address) => `${address} ${match?.[2]}`);
}
