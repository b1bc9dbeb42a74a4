// The ports that clients connect to: one for everything, or gRPC and HTTP apart, and further ones
// for monitoring alone.

import {
  ClientPort,
  type ClientPortOptions,
  clientPortLimits,
  createGrpcServer,
  type GrpcServer,
  type GrpcServerOptions,
  type ListenAddress,
  type TlsDoor,
} from "../grpc/index.ts";
import type { HttpDoor, HttpEntrance } from "../http/index.ts";
import type { ServerConfig } from "./config.ts";
import { isUnixSocket, type ServerUrl } from "./urls.ts";

export interface ClientPortParts {
  readonly grpc: GrpcServer;
  /** What `grpc` was made with. */
  readonly grpcOptions: GrpcServerOptions;
  readonly http: HttpDoor;
  readonly tls: TlsDoor | undefined;
}

interface Entry {
  readonly port: ClientPort;
  readonly urls: readonly ServerUrl[];
}

export class ClientPorts {
  readonly #entries: readonly Entry[];

  constructor(config: ServerConfig, { grpc, grpcOptions, http, tls }: ClientPortParts) {
    const limits = { ...clientPortLimits, tls };
    const httpOnly = (entrance: HttpEntrance): Omit<ClientPortOptions, keyof typeof limits> => ({
      grpc: createGrpcServer("direct", { ...grpcOptions, onHttpRequest: entrance.handle }),
      http: entrance.server,
    });
    const { listenClientUrls, listenClientHttpUrls, listenMetricsUrls } = config;
    const main = { grpc, http: isSplit(config) ? undefined : http.server };
    this.#entries = [
      { port: new ClientPort({ ...limits, ...main }), urls: listenClientUrls },
      ...(isSplit(config)
        ? [{ port: new ClientPort({ ...limits, ...httpOnly(http) }), urls: listenClientHttpUrls }]
        : []),
      ...(listenMetricsUrls.length > 0
        ? [
            {
              port: new ClientPort({ ...limits, ...httpOnly(http.monitoring) }),
              urls: listenMetricsUrls,
            },
          ]
        : []),
    ];
  }

  /**
   * Rejects with ListenError when an address cannot be had. Resolves with the port that each
   * address got, by host and port as they were asked for.
   */
  async listen(): Promise<ReadonlyMap<string, number>> {
    const got = new Map<string, number>();
    for (const { port, urls } of this.#entries) {
      for (const address of addressesOf(urls)) {
        const bound = await port.listen(address);
        got.set(`${address.host} ${address.port}`, bound.port);
      }
    }
    return got;
  }

  /** As ClientPort.abort, of all. */
  async abort(): Promise<void> {
    await Promise.all(this.#entries.map(({ port }) => port.abort()));
  }

  /** As ClientPort.close, of all. */
  async close(graceMs: number): Promise<void> {
    await Promise.all(this.#entries.map(({ port }) => port.close(graceMs)));
  }
}

/** Whether HTTP has addresses of its own, so that those of clients are for gRPC alone. */
export function isSplit({ listenClientHttpUrls }: ServerConfig): boolean {
  return listenClientHttpUrls.length > 0;
}

/** One listener for each host and port: http and https URLs may share it. */
function addressesOf(urls: readonly ServerUrl[]): ListenAddress[] {
  const byPlace = new Map<string, ListenAddress>();
  for (const url of urls) {
    const { host, port, scheme } = url;
    const place = `${host} ${port}`;
    const known = byPlace.get(place);
    byPlace.set(place, {
      host,
      port,
      path: isUnixSocket(url) ? host : undefined,
      plaintext: scheme === "http" || scheme === "unix" || known?.plaintext === true,
      tls: scheme === "https" || scheme === "unixs" || known?.tls === true,
    });
  }
  return [...byPlace.values()];
}
