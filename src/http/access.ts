// Who may call over HTTP: which web pages (CORS) and under which host names. As etcd's access
// controller has it (server/embed/serve.go).
//
// A browser can be tricked into sending requests to a server that only it can reach, by a page
// whose own host name suddenly points there (DNS rebinding). Such requests carry the page's host
// name, so plain HTTP is answered for the names on the list alone. Over TLS the certificate's name
// protects already.

import type { HttpReply } from "../grpc/contract.ts";
import { type DoorRequest, errorReply } from "./reply.ts";

export interface AccessLists {
  /** Origins whose pages may call; `*` for all. */
  readonly corsOrigins: readonly string[];
  /** Host names that requests may be for; `*` for all. */
  readonly hostNames: readonly string[];
}

type Headers = HttpReply["headers"];

export class AccessRules {
  readonly #origins: ReadonlySet<string>;
  readonly #hosts: ReadonlySet<string>;

  constructor({ corsOrigins, hostNames }: AccessLists) {
    this.#origins = new Set(corsOrigins);
    this.#hosts = new Set(hostNames);
  }

  /** The answer to a request for a host name that is not on the list. */
  hostRefusal(request: DoorRequest): HttpReply | undefined {
    const host = hostOf(request.authority);
    if (request.peer.isEncrypted === true || this.#hosts.has("*") || this.#hosts.has(host)) {
      return undefined;
    }
    return errorReply(421, unknownHostText(host));
  }

  /** Whether the page that sent the request may; true for what no browser sent. */
  allowsOrigin(request: DoorRequest): boolean {
    const origin = request.header("origin");
    return origin === undefined || this.#origins.has("*") || this.#origins.has(origin);
  }

  /** Headers that tell a browser that its page may see the answer; none if it may not. */
  corsHeaders(request: DoorRequest): Headers {
    const origin = this.#origins.has("*") ? "*" : request.header("origin");
    if (origin === undefined || !this.#origins.has(origin)) {
      return [];
    }
    return [
      ["access-control-allow-headers", "accept, content-type, authorization"],
      ["access-control-allow-methods", "POST, GET, OPTIONS, PUT, DELETE"],
      ["access-control-allow-origin", origin],
      ...(origin === "*" ? [] : ([["vary", "origin"]] as const)),
    ];
  }
}

/** "host", "host:port" or "[address]:port" without port and brackets. */
function hostOf(authority: string): string {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(authority);
  return match === null ? authority : (match[1] ?? match[2] ?? "");
}

/** Scripts look for etcd's words; the name is quoted so that it cannot add lines. */
function unknownHostText(host: string): string {
  return `
etcd received your request, but the Host header was unrecognized.

To fix this, choose one of the following options:
- Enable TLS, then any HTTPS request will be allowed.
- Add the hostname you want to use to the whitelist in settings.
  - e.g. etcd --host-whitelist ${JSON.stringify(host)}
`;
}
