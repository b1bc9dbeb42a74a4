// The files that start a cluster, read as a server would read them: cluster/*.yml as they are, and
// as docker-compose.yml mounts them with its variables. No container engine is needed.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import {
  buildConfig,
  collectSettings,
  parseArguments,
  type ServerConfig,
} from "../../src/cli/index.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const names = ["node1", "node2", "node3"];

interface Service {
  readonly environment: Readonly<Record<string, string>>;
  readonly ports: readonly string[];
  readonly volumes: readonly string[];
}

const services = (
  parse(readFileSync(join(root, "docker-compose.yml"), "utf8"), { merge: true }) as {
    readonly services: Readonly<Record<string, Service>>;
  }
).services;

function load(file: string, environment: Readonly<Record<string, string>>): ServerConfig {
  const line = parseArguments([`--config-file=${join(root, file)}`]);
  if (line.kind === "help") {
    throw new Error("help was asked for");
  }
  const { config, notices } = buildConfig(collectSettings(line.flags, environment), false);
  expect(notices).toEqual([]);
  return config;
}

/** That members agree on the cluster and each finds itself in it. */
function expectOneCluster(configs: readonly ServerConfig[]): void {
  expect(configs.map((config) => config.name)).toEqual(names);
  for (const config of configs) {
    expect(config.initialCluster).toEqual(configs[0]?.initialCluster);
    expect(config.initialCluster.map((member) => member.name)).toEqual(names);
    expect(config.initialClusterToken).toBe(configs[0]?.initialClusterToken);
  }
  expect(new Set(configs.map((config) => config.advertiseClientUrls[0])).size).toBe(3);
}

describe("the local cluster", () => {
  it("has three members that agree, on the loopback interface only", () => {
    const configs = names.map((name) => load(`cluster/${name}.yml`, {}));
    expectOneCluster(configs);
    const listened = configs.flatMap((config) => [
      ...config.listenClientUrls,
      ...config.listenPeerUrls,
    ]);
    expect(new Set(listened.map((url) => url.text)).size).toBe(6);
    expect(new Set(listened.map((url) => url.host))).toEqual(new Set(["127.0.0.1"]));
    expect(new Set(configs.map((config) => config.dataDir)).size).toBe(3);
  });
});

describe("docker-compose.yml", () => {
  it("runs the same three files", () => {
    expect(Object.keys(services)).toEqual(names);
    const configs = names.map((name) => {
      const service = services[name];
      const mount = service?.volumes.find((volume) => volume.endsWith(":/config.yml:ro"));
      const { QUORATE_CONFIG_FILE: path, ...environment } = service?.environment ?? {};
      expect(path).toBe("/config.yml");
      return load(mount?.split(":")[0] ?? "", environment);
    });
    expectOneCluster(configs);
    for (const config of configs) {
      expect(config.listenClientUrls.map((url) => url.text)).toEqual(["http://0.0.0.0:2379"]);
      expect(config.advertisePeerUrls).toEqual([`http://${config.name}:2380`]);
      expect(config.dataDir).toBe("/data");
    }
  });

  it("publishes each member where it says that clients reach it", () => {
    for (const name of names) {
      const published = services[name]?.ports[0]?.split(":")[0];
      expect(services[name]?.environment["QUORATE_ADVERTISE_CLIENT_URLS"]).toBe(
        `http://127.0.0.1:${published}`,
      );
    }
  });
});
