// How to reach the cluster: endpoints, TLS and user, from the global flags.

import { resolveSrv } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import type { ClientOptions, TlsOptions, UserOptions } from "../../client/index.ts";
import { CommandError, exitCodes, textOf } from "./failure.ts";
import { goQuoteText } from "./go-text.ts";
import type { Io } from "./io.ts";
import type { Settings } from "./settings.ts";

/** Where the parts of a TLS connection are, and what may be left out of it. */
export interface TlsFiles {
  readonly cacert: string;
  readonly cert: string;
  readonly key: string;
  readonly serverName: string;
  readonly insecureTransport: boolean;
  readonly insecureSkipVerify: boolean;
}

/** As Go's gRPC has it: servers take more frequent pings for an attack. */
const pingIntervalMsMin = 10_000;

/** What a client connects with. */
export type Connection = ClientOptions;

/** Reads the files; undefined where nothing asks for TLS. Fails with CommandError. */
export async function readTls(files: TlsFiles): Promise<TlsOptions | undefined> {
  const { cacert, cert, key, serverName, insecureTransport, insecureSkipVerify } = files;
  if ((cert === "") !== (key === "")) {
    throw new CommandError(
      exitCodes.badArguments,
      `KeyFile and CertFile must both be present[key: ${key}, cert: ${cert}]`,
      "give both --cert and --key, or neither",
    );
  }
  if (cacert === "" && cert === "" && serverName === "" && insecureTransport) {
    return undefined;
  }
  return {
    ...(cacert === "" ? {} : { ca: await fileOf("--cacert", cacert) }),
    ...(cert === "" ? {} : { certificate: await fileOf("--cert", cert) }),
    ...(key === "" ? {} : { privateKey: await fileOf("--key", key) }),
    ...(serverName === "" ? {} : { serverName }),
    insecureSkipVerify,
  };
}

async function fileOf(flag: string, path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new CommandError(exitCodes.badArguments, `${flag}: ${textOf(error)}`);
  }
}

/** `user` is "name" or "name:password"; without a password it is asked for. */
export async function readUser(
  io: Io,
  user: string,
  password: string,
): Promise<UserOptions | undefined> {
  if (user === "") {
    return undefined;
  }
  if (password !== "") {
    return { username: user, password };
  }
  const colon = user.indexOf(":");
  return colon < 0
    ? { username: user, password: await io.askSecret("Password: ") }
    : { username: user.slice(0, colon), password: user.slice(colon + 1) };
}

/** Looks up SRV records. */
export type ResolveSrv = (
  service: string,
) => Promise<readonly { readonly name: string; readonly port: number }[]>;

/** The endpoints that the SRV records of `domain` name. */
export async function discoverEndpoints(
  domain: string,
  nameSuffix: string,
  insecure: boolean,
  resolve: ResolveSrv,
): Promise<string[]> {
  const suffix = nameSuffix === "" ? "" : `-${nameSuffix}`;
  const services: [scheme: string, service: string][] = [
    ["https", `_etcd-client-ssl${suffix}._tcp.${domain}`],
  ];
  if (insecure) {
    services.push(["http", `_etcd-client${suffix}._tcp.${domain}`]);
  }
  const found: string[] = [];
  const failures: string[] = [];
  for (const [scheme, service] of services) {
    try {
      const records = await resolve(service);
      found.push(
        ...records.map(({ name, port }) => `${scheme}://${name.replace(/\.$/, "")}:${port}`),
      );
    } catch (error) {
      failures.push(`${service}: ${textOf(error)}`);
    }
  }
  if (found.length === 0) {
    throw new CommandError(
      exitCodes.error,
      `--discovery-srv found no endpoints (${failures.join("; ") || "no records"})`,
    );
  }
  return found;
}

/** What to connect with, by the global flags. Asks for a password where one is missing. */
export async function connectionOf(
  settings: Settings,
  io: Io,
  resolve: ResolveSrv = resolveSrv,
): Promise<Connection> {
  const domain = settings.text("discovery-srv");
  const insecureDiscovery = settings.bool("insecure-discovery");
  const endpoints =
    domain === ""
      ? settings.list("endpoints")
      : await discoverEndpoints(
          domain,
          settings.text("discovery-srv-name"),
          insecureDiscovery,
          resolve,
        );
  endpoints.forEach(checkEndpoint);
  if (endpoints.length === 0) {
    throw new CommandError(exitCodes.badArguments, "--endpoints names no member");
  }
  const [cacert, cert, key] = ["cacert", "cert", "key"].map((name) => {
    const path = settings.text(name);
    if (path === "" && settings.isSet(name)) {
      throw new CommandError(exitCodes.badArguments, `empty string is passed to --${name} option`);
    }
    return path;
  }) as [string, string, string];
  const tls = await readTls({
    cacert,
    cert,
    key,
    serverName: insecureDiscovery ? "" : domain,
    insecureTransport: settings.bool("insecure-transport"),
    insecureSkipVerify: settings.bool("insecure-skip-tls-verify"),
  });
  const token = settings.text("auth-jwt-token");
  if (token !== "" && settings.isSet("user")) {
    throw new CommandError(
      exitCodes.badArguments,
      "--user and --auth-jwt-token cannot be used together",
    );
  }
  const auth = await readUser(io, settings.text("user"), settings.text("password"));
  return {
    endpoints,
    callTimeoutMs: settings.durationMs("command-timeout"),
    dialTimeoutMs: settings.durationMs("dial-timeout"),
    pingIntervalMs: Math.max(pingIntervalMsMin, settings.durationMs("keepalive-time")),
    pingTimeoutMs: settings.durationMs("keepalive-timeout"),
    ...(tls === undefined ? {} : { tls }),
    ...(auth === undefined ? {} : { auth }),
    ...(token === "" ? {} : { token }),
    requestBytesMax: settings.limit("max-request-bytes"),
    replyBytesMax: settings.limit("max-recv-bytes"),
  };
}

function checkEndpoint(endpoint: string): void {
  if (
    !/^unix:|^(?:https?:\/\/)?(?:\[[0-9a-fA-F:.%]+\]|[^\s/:[\]]+)(?::\d{1,5})?\/?$/.test(endpoint)
  ) {
    throw new CommandError(
      exitCodes.badArguments,
      `cannot connect to ${goQuoteText(endpoint)}`,
      "an endpoint is HOST:PORT, http://HOST:PORT, https://HOST:PORT or unix:PATH",
    );
  }
}
