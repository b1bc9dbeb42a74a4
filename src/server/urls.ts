// Addresses as etcd's flags write them: "http://127.0.0.1:2379", several joined by commas. The
// texts of the errors are etcd's (client/pkg/types/urls.go, server/embed/config.go).

import { isIP } from "node:net";
import { ConfigError } from "../base/index.ts";

/** One address to listen on or to be reached at. */
export interface ServerUrl {
  readonly scheme: "http" | "https" | "unix" | "unixs";
  /** Without brackets for IPv6; for unix schemes the path of the socket. */
  readonly host: string;
  /** 0 for unix schemes, and for "any free port". */
  readonly port: number;
  /** As given, without white space around it: member and cluster ids are made from it. */
  readonly text: string;
}

/** Whether an address is a unix socket: `host` is its path. */
export function isUnixSocket({ scheme }: ServerUrl): boolean {
  return scheme === "unix" || scheme === "unixs";
}

/** A comma-separated list of addresses, sorted by text as etcd sorts them. */
export function parseUrls(text: string): ServerUrl[] {
  return text
    .split(",")
    .map(parseUrl)
    .sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0));
}

function parseUrl(given: string): ServerUrl {
  const text = given.trim();
  const match = /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?:\/\/)?([^/?#]*)(.*)$/.exec(text);
  const scheme = (match?.[1] ?? "").toLowerCase();
  const authority = match?.[2] ?? "";
  const rest = match?.[3] ?? "";
  if (scheme === "unix" || scheme === "unixs") {
    return { scheme, host: authority + rest, port: 0, text };
  }
  if (scheme !== "http" && scheme !== "https") {
    throw new ConfigError(`URL scheme must be http, https, unix, or unixs: ${text}`);
  }
  if (/[\s\p{Cc}]/u.test(authority)) {
    throw new ConfigError(`invalid character in URL: ${JSON.stringify(text)}`);
  }
  const parts = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(authority);
  const port = Number(parts?.[3]);
  if (parts === null || port > 65_535) {
    throw new ConfigError(`URL address does not have the form "host:port": ${text}`);
  }
  if (rest !== "") {
    throw new ConfigError(`URL must not contain a path: ${text}`);
  }
  return { scheme, host: parts[1] ?? parts[2] ?? "", port, text };
}

/**
 * The addresses to listen on: each must be an IP address or "localhost", which is 127.0.0.1 as in
 * Go, whatever the system puts first.
 */
export function toListenUrls(urls: readonly ServerUrl[]): ServerUrl[] {
  return urls.map((url) => {
    if (url.scheme === "unix" || url.scheme === "unixs" || isIP(url.host) !== 0) {
      return url;
    }
    if (url.host !== "localhost") {
      throw new ConfigError(`expected IP in URL for binding (${url.text})`);
    }
    return { ...url, host: "127.0.0.1", text: `${url.scheme}://127.0.0.1:${url.port}` };
  });
}

/** Throws unless every address names a host that others can reach. */
export function checkAdvertisedUrls(urls: readonly ServerUrl[]): void {
  for (const url of urls) {
    if (url.host === "") {
      throw new ConfigError(`unexpected empty host (${url.text})`);
    }
  }
}
