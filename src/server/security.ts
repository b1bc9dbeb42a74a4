// The certificates and keys of a server, opened in an order that writes nothing before all that was
// given has been found good.

import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type JwtOptions, JwtTokens } from "../api/index.ts";
import { ConfigError, type Logger } from "../base/index.ts";
import type { TlsDoor } from "../grpc/index.ts";
import { type PeerTransport, tcpTransport, tlsTransport } from "../peer/index.ts";
import type { MemberDisk } from "../storage/index.ts";
import {
  addressRefusal,
  systemResolver,
  TlsCredentials,
  type TlsSettings,
  withSelfSigned,
} from "../tls/index.ts";
import type { ServerConfig } from "./config.ts";
import { isUnixSocket } from "./urls.ts";

export interface Security {
  /** Of the ports of clients; undefined where there is no TLS. */
  readonly clientTls: TlsDoor | undefined;
  readonly peerTransport: PeerTransport;
  /** Signs and verifies tokens; undefined for simple ones. */
  readonly jwt: JwtTokens | undefined;
  /** There is no data of this member yet. */
  readonly isFirstStart: boolean;
}

/** Throws ConfigError or StorageError, in words for the operator. */
export async function openSecurity(
  config: ServerConfig,
  disk: MemberDisk,
  logger: Logger,
): Promise<Security> {
  const jwt = config.jwt && openJwt(config.jwt);
  const given = [config.clientTls, config.peerTls].map((settings) =>
    settings === undefined || settings.auto ? undefined : new TlsCredentials(settings, logger),
  );
  const isFirstStart = !(await disk.hasData());
  if (config.dataDir !== "") {
    makeParent(config.dataDir);
  }
  const client = given[0] ?? selfSigned(config, config.clientTls, clientHosts(config), logger);
  const peer = given[1] ?? selfSigned(config, config.peerTls, peerHosts(config), logger);
  return {
    clientTls: client && clientDoor(client, logger),
    peerTransport:
      peer === undefined
        ? tcpTransport
        : peerTransport(peer, config.peerTls?.skipAddressCheck ?? false, logger),
    jwt,
    isFirstStart,
  };
}

function openJwt(options: JwtOptions): JwtTokens {
  try {
    return new JwtTokens(options, () => Date.now());
  } catch (error) {
    throw new ConfigError(`--auth-token: ${(error as Error).message}`);
  }
}

/** The folders above the data directory; the directory itself is made, and owned, by storage. */
function makeParent(dataDir: string): void {
  try {
    mkdirSync(dirname(resolve(dataDir)), { recursive: true });
  } catch (error) {
    throw new ConfigError(`cannot make the data directory: ${(error as Error).message}`);
  }
}

function selfSigned(
  { dataDir, selfSignedValidityYears }: ServerConfig,
  settings: TlsSettings | undefined,
  hosts: readonly string[],
  logger: Logger,
): TlsCredentials | undefined {
  if (settings === undefined) {
    return undefined;
  }
  const options = { dataDir, hosts, validityYears: selfSignedValidityYears };
  return new TlsCredentials(withSelfSigned(settings, options, logger), logger);
}

function clientHosts(config: ServerConfig): string[] {
  const { listenClientUrls, listenClientHttpUrls, listenMetricsUrls } = config;
  const listened = [...listenClientUrls, ...listenClientHttpUrls, ...listenMetricsUrls].filter(
    (url) => !isUnixSocket(url),
  );
  return hostsOf(listened, config.advertiseClientUrls);
}

function peerHosts({ listenPeerUrls, advertisePeerUrls }: ServerConfig): string[] {
  return hostsOf(listenPeerUrls, advertisePeerUrls);
}

function hostsOf(
  listened: readonly { readonly host: string }[],
  advertised: readonly string[],
): string[] {
  const reachable = advertised.filter((url) => !url.startsWith("unix"));
  const names = reachable.map((url) => new URL(url).hostname.replace(/^\[(.*)\]$/, "$1"));
  return [...new Set([...listened.map(({ host }) => host), ...names])].sort();
}

/** How a port of clients uses its certificates. */
export function clientDoor(credentials: TlsCredentials, logger: Logger): TlsDoor {
  return {
    serverOptions: () => credentials.serverOptions(),
    refusal: (socket) => credentials.refusal(socket),
    onRefused: refusalLog(logger, "rejected connection on client endpoint"),
  };
}

/** How members reach each other with these certificates. */
export function peerTransport(
  credentials: TlsCredentials,
  skipAddressCheck: boolean,
  logger: Logger,
): PeerTransport {
  return tlsTransport({
    serverOptions: () => credentials.serverOptions(),
    clientOptions: (host) => credentials.clientOptions(host),
    refusal: async (socket) => {
      const certificate = socket.getPeerX509Certificate();
      return certificate === undefined || skipAddressCheck
        ? credentials.refusal(socket)
        : (credentials.refusal(socket) ??
            addressRefusal(certificate, socket.remoteAddress ?? "", systemResolver));
    },
    onRefused: refusalLog(logger, "rejected connection on peer endpoint"),
  });
}

/** Lines a second that strangers can put into the log. */
const refusalLinesMax = 10;

function refusalLog(logger: Logger, message: string): (from: string, reason: string) => void {
  let second = 0;
  let lines = 0;
  return (from, reason) => {
    const now = Math.floor(performance.now() / 1000);
    lines = now === second ? lines + 1 : 1;
    second = now;
    if (lines <= refusalLinesMax) {
      logger.warn({ "remote-addr": from, error: reason }, message);
    }
  };
}
