// --initial-cluster: "a=http://10.0.0.1:2380,b=http://10.0.0.2:2380"; a name with several
// addresses stands several times. The texts of the errors are etcd's (server/config/config.go).

import { type InitialMember, parseUrls } from "../server/index.ts";
import { ConfigError, quoted } from "./config-error.ts";

/** The members of `text`, sorted by name, each with its addresses sorted. */
export function parseInitialCluster(text: string): InitialMember[] {
  const byName = new Map<string, string[]>();
  for (const part of text.split(",")) {
    if (part === "") {
      continue;
    }
    const equals = part.indexOf("=");
    const name = equals < 0 ? part : part.slice(0, equals);
    const url = equals < 0 ? "" : part.slice(equals + 1);
    const urls = byName.get(name) ?? [];
    urls.push(url);
    byName.set(name, urls);
  }
  return [...byName]
    .map(([name, urls]) => ({
      name,
      peerUrls: parseUrls(urls.join(",")).map((url) => url.text),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function textOf(members: readonly InitialMember[]): string {
  return members
    .flatMap((member) => member.peerUrls.map((url) => `${member.name}=${url}`))
    .sort()
    .join(",");
}

/**
 * Holds that the cluster contains this member and no address twice, and, where the cluster is
 * new, that this member's addresses in it are the advertised ones.
 */
export function checkInitialCluster(
  members: readonly InitialMember[],
  name: string,
  advertisePeerUrls: readonly string[],
  isNew: boolean,
): void {
  const own = members.find((member) => member.name === name);
  if (own === undefined) {
    throw new ConfigError(
      `couldn't find local name ${quoted(name)} in the initial cluster configuration`,
    );
  }
  if (isNew) {
    checkAdvertised(own, advertisePeerUrls);
  }
  const urls = members.flatMap((member) => member.peerUrls);
  if (new Set(urls).size < urls.length) {
    throw new ConfigError(`initial cluster ${textOf(members)} has duplicate url`);
  }
}

function checkAdvertised(own: InitialMember, advertised: readonly string[]): void {
  const notAdvertised = own.peerUrls.filter((url) => !advertised.includes(url));
  if (notAdvertised.length > 0) {
    throw new ConfigError(
      `--initial-cluster has ${notAdvertised.map((url) => `${own.name}=${url}`).join(",")} ` +
        `but missing from --initial-advertise-peer-urls=${advertised.join(",")}`,
    );
  }
  const notInCluster = advertised.filter((url) => !own.peerUrls.includes(url));
  if (notInCluster.length > 0) {
    throw new ConfigError(
      `--initial-advertise-peer-urls has ${notInCluster.join(",")} ` +
        `but missing from --initial-cluster=${textOf([own])}`,
    );
  }
}
