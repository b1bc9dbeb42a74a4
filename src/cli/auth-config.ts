// The part of the configuration about authentication: what tokens are and how long they live.

import { readFileSync } from "node:fs";
import type { JwtOptions } from "../api/index.ts";
import type { AuthConfig } from "../server/index.ts";
import { ConfigError, quoted } from "./config-error.ts";
import type { SettingReader } from "./setting-reader.ts";
import { parseDurationMs } from "./values.ts";

/** etcd's, for a signed token. */
const jwtTtlMsDefault = 300_000;
const bcryptCostMin = 4;
const bcryptCostMax = 31;

/** Throws ConfigError, also for a key file that cannot be read. */
export function readAuth(read: SettingReader): AuthConfig {
  const bcryptCost = read.whole("bcrypt-cost");
  if (bcryptCost < bcryptCostMin || bcryptCost > bcryptCostMax) {
    throw new ConfigError(
      `--bcrypt-cost must be from ${bcryptCostMin} to ${bcryptCostMax} (set to ${bcryptCost})`,
    );
  }
  return {
    jwt: readJwt(read.text("auth-token")),
    authTokenTtlMs: read.positive("auth-token-ttl") * 1000,
    bcryptCost,
  };
}

function readJwt(text: string): JwtOptions | undefined {
  const [kind, ...options] = text.split(",");
  if (kind === "simple" && options.length === 0) {
    return undefined;
  }
  if (kind !== "jwt") {
    throw new ConfigError(
      `--auth-token must be "simple" or "jwt,sign-method=..." (set to ${quoted(text)})`,
    );
  }
  const values = new Map<string, string>();
  for (const option of options) {
    const [name = "", value, ...rest] = option.split("=");
    const isKnown = ["sign-method", "pub-key", "priv-key", "ttl"].includes(name);
    if (!isKnown || value === undefined || rest.length > 0 || values.has(name)) {
      throw new ConfigError(`--auth-token: ${quoted(option)} is not an option of jwt`);
    }
    values.set(name, value);
  }
  return {
    signMethod: values.get("sign-method") ?? "",
    publicKey: readKeyFile("pub-key", values.get("pub-key")),
    privateKey: readKeyFile("priv-key", values.get("priv-key")),
    ttlMs: readTtlMs(values.get("ttl")),
  };
}

function readKeyFile(name: string, path: string | undefined): Uint8Array | undefined {
  if (path === undefined || path === "") {
    return undefined;
  }
  try {
    return readFileSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
    throw new ConfigError(`--auth-token: cannot read ${name} ${quoted(path)}: ${code}`);
  }
}

function readTtlMs(text: string | undefined): number {
  if (text === undefined || text === "") {
    return jwtTtlMsDefault;
  }
  try {
    const ttlMs = parseDurationMs(text);
    if (ttlMs >= 1000) {
      return ttlMs;
    }
  } catch {
    // Told below.
  }
  throw new ConfigError(
    `--auth-token: ttl must be a duration of 1s at least (set to ${quoted(text)})`,
  );
}
