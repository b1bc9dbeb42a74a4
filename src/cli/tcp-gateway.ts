// quorate gateway start: passes TCP connections on to members, in turn, as etcd's gateway does. It
// knows nothing of what they carry, TLS included. A member that takes no connection is left out
// until it does again, which is tried once every --retry-delay.

import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { parseArgs } from "node:util";
import type { Logger } from "../base/index.ts";
import { ConfigError, quoted } from "./config-error.ts";
import { createLogger } from "./logger.ts";
import { type SrvResolver, systemSrvResolver } from "./srv-discovery.ts";
import { parseDurationMs, parseList, withOrigin } from "./values.ts";

const dialTimeoutMs = 5_000;

export interface Place {
  readonly host: string;
  readonly port: number;
}

export interface GatewayConfig {
  readonly listen: Place;
  readonly endpoints: readonly Place[];
  readonly retryDelayMs: number;
}

interface Remote {
  readonly place: Place;
  active: boolean;
}

export const gatewayHelp = `Usage: quorate gateway start [flags]

Passes TCP connections on to the members of a cluster, in turn.

  --endpoints '127.0.0.1:2379'      where members serve clients, separated by commas
  --listen-addr '127.0.0.1:23790'   where to listen
  --retry-delay '1m0s'              how often a member that failed is tried again
  --discovery-srv ''                domain whose SRV records name the endpoints
  --discovery-srv-name ''           suffix of the service's name in them
  --insecure-discovery              take records of members without TLS too
`;

/** Reads the arguments behind `gateway`. Throws ConfigError; undefined when help was asked for. */
export async function readGateway(
  args: readonly string[],
  resolver: SrvResolver = systemSrvResolver,
): Promise<GatewayConfig | undefined> {
  const [verb, ...rest] = args;
  const values = verb === "start" ? parseFlags(rest) : undefined;
  if (values === undefined && !(verb === undefined || /^--?h(?:elp)?$/.test(verb))) {
    throw new ConfigError(`unknown command ${quoted(`gateway ${verb}`)} (see gateway --help)`, 2);
  }
  if (values === undefined || values.help === true) {
    return undefined;
  }
  const domain = values["discovery-srv"];
  const endpoints =
    domain === ""
      ? parseList(values.endpoints)
      : await discover(
          domain,
          values["discovery-srv-name"],
          values["insecure-discovery"] === true,
          resolver,
        );
  if (endpoints.length === 0) {
    throw new ConfigError("--endpoints must name a member");
  }
  const retry = values["retry-delay"];
  const retryDelayMs = withOrigin(retry, "--retry-delay", 2, () => parseDurationMs(retry));
  if (retryDelayMs <= 0) {
    throw new ConfigError("--retry-delay must be >0");
  }
  return {
    listen: placeOf(values["listen-addr"], "--listen-addr"),
    endpoints: endpoints.map((endpoint) => placeOf(endpoint, "--endpoints")),
    retryDelayMs,
  };
}

function parseFlags(args: readonly string[]) {
  const text = (byDefault: string) => ({ type: "string" as const, default: byDefault });
  try {
    return parseArgs({
      args: [...args],
      options: {
        endpoints: text("127.0.0.1:2379"),
        "listen-addr": text("127.0.0.1:23790"),
        "retry-delay": text("1m0s"),
        "discovery-srv": text(""),
        "discovery-srv-name": text(""),
        "insecure-discovery": { type: "boolean" },
        // Certificates of those that are discovered, which are not looked at here.
        "trusted-ca-file": text(""),
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    throw new ConfigError((error as Error).message.split(". ")[0] ?? "bad arguments", 2);
  }
}

function placeOf(text: string, origin: string): Place {
  const match = /^(?:https?:\/\/)?(?:\[([^\]]*)\]|([^:/[\]]*)):(\d{1,5})\/?$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new ConfigError(`${origin}: ${quoted(text)} is not of the form host:port`);
  }
  return { host: (match[1] ?? match[2]) || "127.0.0.1", port };
}

/** etcd-client-ssl first; etcd-client too where that was asked for. */
async function discover(
  domain: string,
  suffix: string,
  insecure: boolean,
  resolver: SrvResolver,
): Promise<string[]> {
  const dashed = suffix === "" ? "" : `-${suffix}`;
  const services = [
    `_etcd-client-ssl${dashed}._tcp.${domain}`,
    ...(insecure ? [`_etcd-client${dashed}._tcp.${domain}`] : []),
  ];
  const failures: string[] = [];
  const found: string[] = [];
  for (const service of services) {
    try {
      const records = await resolver.recordsOf(service);
      found.push(...records.map(({ name, port }) => `${name.replace(/\.$/, "")}:${port}`));
    } catch (error) {
      failures.push(`${service}: ${(error as Error).message}`);
    }
  }
  if (found.length === 0) {
    throw new ConfigError(`--discovery-srv found no members (${failures.join("; ")})`);
  }
  return found;
}

export class TcpGateway {
  readonly #remotes: readonly Remote[];
  readonly #config: GatewayConfig;
  readonly #logger: Logger;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #next = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(config: GatewayConfig, logger: Logger) {
    this.#config = config;
    this.#logger = logger;
    this.#remotes = config.endpoints.map((place) => ({ place, active: true }));
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#accept(socket);
    });
  }

  /** Resolves with the port; rejects with the system's error. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#config.listen, resolve);
    });
    this.#timer = setInterval(() => this.#retry(), this.#config.retryDelayMs);
    const bound = this.#server.address();
    return typeof bound === "object" && bound !== null ? bound.port : 0;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket): void {
    this.#hold(client);
    this.#forward(client, this.#remotes.length);
  }

  /** To the next member that takes it; `left` are those that may still be tried. */
  #forward(client: Socket, left: number): void {
    const remote = left > 0 ? this.#pick() : undefined;
    if (remote === undefined) {
      client.destroy();
      return;
    }
    const upstream = this.#dial(remote.place, (connected) => {
      if (client.destroyed) {
        upstream.destroy();
      } else if (connected) {
        client.pipe(upstream).pipe(client);
        client.once("close", () => upstream.destroy());
        upstream.once("close", () => client.destroy());
      } else {
        this.#fail(remote);
        this.#forward(client, left - 1);
      }
    });
  }

  #pick(): Remote | undefined {
    for (let tried = 0; tried < this.#remotes.length; tried++) {
      const remote = this.#remotes[this.#next++ % this.#remotes.length];
      if (remote?.active === true) {
        return remote;
      }
    }
    return undefined;
  }

  #dial(place: Place, done: (connected: boolean) => void): Socket {
    const socket = connect({ ...place, noDelay: true, allowHalfOpen: true });
    this.#hold(socket);
    let isDone = false;
    const end = (connected: boolean): void => {
      if (!isDone) {
        isDone = true;
        clearTimeout(timer);
        done(connected);
      }
    };
    const timer = setTimeout(() => {
      socket.destroy();
      end(false);
    }, dialTimeoutMs);
    socket.once("connect", () => end(true));
    socket.once("close", () => end(false));
    return socket;
  }

  #hold(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => this.#sockets.delete(socket));
  }

  #fail(remote: Remote): void {
    if (remote.active) {
      remote.active = false;
      const retryMs = this.#config.retryDelayMs;
      this.#logger.warn(
        { address: addressOf(remote.place), retryMs },
        "deactivated endpoint: no connection",
      );
    }
  }

  #retry(): void {
    for (const remote of this.#remotes.filter(({ active }) => !active)) {
      const socket = this.#dial(remote.place, (connected) => {
        socket.destroy();
        if (connected) {
          remote.active = true;
          this.#logger.info({ address: addressOf(remote.place) }, "activated");
        }
      });
    }
  }
}

function addressOf({ host, port }: Place): string {
  return `${host}:${port}`;
}

/** Runs until a signal ends the process; resolves with its exit code. */
export async function runGateway(args: readonly string[]): Promise<number> {
  const config = await readGateway(args);
  if (config === undefined) {
    process.stdout.write(gatewayHelp);
    return 0;
  }
  const isTerminal = process.stderr.isTTY;
  const logger = createLogger(
    {
      level: "info",
      format: isTerminal ? "console" : "json",
      outputs: ["stderr"],
      rotation: undefined,
    },
    isTerminal && (process.env["NO_COLOR"] ?? "") === "",
  );
  const gateway = new TcpGateway(config, logger);
  try {
    await gateway.listen();
  } catch (error) {
    throw new ConfigError((error as Error).message);
  }
  const ended = new Promise<void>((resolve) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
  });
  const endpoints = config.endpoints.map(addressOf);
  logger.info({ listen: addressOf(config.listen), endpoints }, "ready to proxy client requests");
  await ended;
  await gateway.close();
  return 0;
}
