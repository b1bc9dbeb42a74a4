// --discovery-endpoints and --discovery-token: the first members find each other in another etcd or
// Quorate (etcd's v3 discovery, server/etcdserver/api/v3discovery):
//
//   /_etcd/registry/TOKEN/_config/size    how many there are, put there by the operator
//   /_etcd/registry/TOKEN/members/ID      "name=url,name=url" of each, put there by itself
//
// Those whose keys were created first are the members; whoever comes later is refused. What fails
// is tried again for as long as it takes, as in etcd. Only a first start asks.

import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fromUtf8, type Logger, utf8 } from "../base/index.ts";
import { type Client, ClientError, connect, keyBytes, prefixRange } from "../client/index.ts";
import { deriveMemberId } from "../node/index.ts";
import type { InitialMember } from "../server/index.ts";
import { ConfigError } from "./config-error.ts";
import type { ServiceDiscovery } from "./discovery-config.ts";
import { parseInitialCluster } from "./initial-cluster.ts";

const registry = "/_etcd/registry";
/** While other members are awaited, milliseconds. */
const pollMs = 500;
const retryMsMin = 1_000;
const retryMsMax = 16_000;

export interface DiscoveredSelf {
  readonly name: string;
  readonly peerUrls: readonly string[];
}

interface Registered {
  readonly key: string;
  readonly value: string;
}

/** Registers this member and waits until all are there. Throws ConfigError. */
export async function joinByDiscovery(
  service: ServiceDiscovery,
  self: DiscoveredSelf,
  logger: Logger,
): Promise<InitialMember[]> {
  const client = connect(clientOptions(service));
  try {
    return await new Registry(client, service.token, self, logger).join();
  } finally {
    client.close();
  }
}

class Registry {
  readonly #client: Client;
  readonly #prefix: string;
  readonly #self: DiscoveredSelf;
  readonly #ownKey: string;
  readonly #logger: Logger;

  constructor(client: Client, token: string, self: DiscoveredSelf, logger: Logger) {
    this.#client = client;
    this.#prefix = `${registry}/${token}`;
    this.#self = self;
    this.#ownKey = `${this.#prefix}/members/${deriveMemberId(self.peerUrls, token).toString(16)}`;
    this.#logger = logger;
  }

  async join(): Promise<InitialMember[]> {
    const size = await this.#trying("read the cluster's size", () => this.#size());
    this.#checkPlace(await this.#trying("read the members", () => this.#members()), size);
    const value = this.#self.peerUrls.map((url) => `${this.#self.name}=${url}`).join(",");
    await this.#trying("register this member", () =>
      this.#client.put({ key: keyBytes(this.#ownKey), value: utf8(value) }),
    );
    const members = await this.#awaitMembers(size);
    this.#logger.info({ members }, "discovery has found all members");
    return this.#clusterOf(members);
  }

  async #awaitMembers(size: number): Promise<string[]> {
    let known = -1;
    for (;;) {
      const members = await this.#trying("read the members", () => this.#members());
      this.#checkPlace(members, size);
      if (members.length >= size) {
        return members.slice(0, size).map(({ value }) => value);
      }
      if (members.length !== known) {
        known = members.length;
        this.#logger.info({ size, found: known }, "discovery waits for the other members");
      }
      await sleep(pollMs);
    }
  }

  async #size(): Promise<number> {
    const { kvs } = await this.#client.range({ key: keyBytes(`${this.#prefix}/_config/size`) });
    const text = kvs[0] === undefined ? undefined : fromUtf8(kvs[0].value);
    if (text === undefined) {
      throw new ConfigError("discovery: size key not found");
    }
    if (!/^[1-9]\d{0,5}$/.test(text)) {
      throw new ConfigError("discovery: size key is bad");
    }
    return Number(text);
  }

  /** In the order of their creation; what does not say who it is does not count. */
  async #members(): Promise<Registered[]> {
    const range = prefixRange(`${this.#prefix}/members/`);
    const { kvs } = await this.#client.range(range);
    return kvs
      .toSorted((a, b) => a.createRevision - b.createRevision)
      .map(({ key, value }) => ({ key: fromUtf8(key), value: fromUtf8(value).trim() }))
      .filter(({ value }) => value.includes("="));
  }

  #checkPlace(members: readonly Registered[], size: number): void {
    const place = members.findIndex(({ key }) => key === this.#ownKey);
    if (place >= size || (place < 0 && members.length >= size)) {
      throw new ConfigError("discovery: cluster is full");
    }
  }

  #clusterOf(values: readonly string[]): InitialMember[] {
    const text = values.join(",");
    let members: InitialMember[];
    try {
      members = parseInitialCluster(text);
    } catch (error) {
      throw new ConfigError(`discovery: invalid peer URL (${(error as Error).message})`);
    }
    const urls = members.flatMap(({ peerUrls }) => peerUrls);
    if (new Set(urls).size < urls.length || members.length < values.length) {
      throw new ConfigError(`discovery cluster ${text} has duplicate url`);
    }
    return members;
  }

  /** Until it succeeds, but for what no attempt can change. */
  async #trying<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    for (let retryMs = retryMsMin; ; retryMs = Math.min(2 * retryMs, retryMsMax)) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof ClientError)) {
          throw error;
        }
        this.#logger.warn({ reason: error.message, retryMs }, `discovery could not ${what}`);
        await sleep(retryMs);
      }
    }
  }
}

function clientOptions(service: ServiceDiscovery): Parameters<typeof connect>[0] {
  const { caFile, certFile, keyFile, insecureTransport, insecureSkipVerify } = service;
  const isSecure = !insecureTransport || insecureSkipVerify || `${caFile}${certFile}` !== "";
  const read = (path: string): Uint8Array | undefined => {
    try {
      return path === "" ? undefined : readFileSync(path);
    } catch (error) {
      throw new ConfigError(`cannot read a file for discovery: ${(error as Error).message}`);
    }
  };
  return {
    endpoints: service.endpoints,
    callTimeoutMs: service.requestTimeoutMs,
    dialTimeoutMs: service.dialTimeoutMs,
    pingIntervalMs: service.keepAliveMs,
    pingTimeoutMs: service.keepAliveTimeoutMs,
    auth: service.user === "" ? undefined : { username: service.user, password: service.password },
    tls: isSecure
      ? {
          ca: read(caFile),
          certificate: read(certFile),
          privateKey: read(keyFile),
          insecureSkipVerify,
        }
      : undefined,
  };
}
