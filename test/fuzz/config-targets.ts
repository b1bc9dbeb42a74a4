// What an operator writes: the configuration file, flags and variables. Whatever is wrong with
// them is told by ConfigError, never by a stack.

import fc from "fast-check";
import { buildConfig } from "../../src/cli/build-config.ts";
import { ConfigError } from "../../src/cli/config-error.ts";
import { parseConfigFile } from "../../src/cli/config-file.ts";
import { flagTable } from "../../src/cli/flags/index.ts";
import { parseInitialCluster } from "../../src/cli/initial-cluster.ts";
import { collectSettings, parseArguments } from "../../src/cli/settings.ts";
import { edits, mutate } from "./mutate.ts";
import { bounded } from "./target.ts";
import type { Target } from "./target.ts";

const sample = `
name: 'node1'
data-dir: /tmp/x
heartbeat-interval: 100
election-timeout: 1000
listen-peer-urls: http://127.0.0.1:2380,http://[::1]:2380
listen-client-urls: ["http://localhost:2379"]
initial-cluster: "a=http://a:2380,b=http://b:2380"
client-transport-security: &tls
  cert-file: /a
  client-cert-auth: true
peer-transport-security: *tls
auto-compaction-retention: "1h"
quota-backend-bytes: 0x10
`;

const files: Target = {
  name: "configuration files",
  runs: 400,
  property: fc.property(edits, fc.string({ unit: "binary", maxLength: 60 }), (list, any) => {
    const changed = Buffer.from(mutate(Buffer.from(sample), list)).toString();
    for (const text of [changed, any, `${sample}${any}`]) {
      const values = bounded([ConfigError], () => parseConfigFile(text, "file"));
      if (values !== undefined) {
        bounded([ConfigError], () => buildConfig({ values, notices: [] }, false));
      }
    }
  }),
};

const aliases: Target = {
  name: "configuration files of many aliases",
  runs: 10,
  property: fc.property(fc.integer({ min: 1, max: 12 }), (levels) => {
    const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"];
    for (let i = 1; i <= levels; i++) {
      const uses = Array.from({ length: 9 }, () => `*a${i - 1}`).join(", ");
      lines.push(`a${i}: &a${i} [${uses}]`);
    }
    bounded([ConfigError], () => parseConfigFile(lines.join("\n"), "file"));
    const deep = `name: ${"[".repeat(levels * 1_000)}`;
    bounded([ConfigError], () => parseConfigFile(deep, "file"));
  }),
};

const values = fc.oneof(
  fc.constantFrom("", "true", "1h", "-1", "http://a:1", "https://[::1", "a=b,c", "9e99", "1KiB"),
  fc.string({ maxLength: 20 }),
);

const args = fc.array(
  fc
    .tuple(fc.constantFrom(...flagTable.map(({ name }) => name)), values, fc.nat(3))
    .map(([name, value, form]) =>
      form === 0
        ? [`--${name}`, value]
        : form === 1
          ? [`-${name}=${value}`]
          : [`--${name}=${value}`],
    ),
  { maxLength: 5 },
);

const flags: Target = {
  name: "flags and variables",
  runs: 800,
  property: fc.property(args, values, (list, variable) => {
    bounded([ConfigError], () => {
      const line = parseArguments(list.flat());
      if (line.kind === "serve") {
        const environment = { ETCD_NAME: variable, QUORATE_INITIAL_CLUSTER: variable };
        buildConfig(collectSettings(line.flags, environment), false);
      }
    });
    bounded([ConfigError], () => parseInitialCluster(variable));
  }),
};

export const configTargets: readonly Target[] = [files, aliases, flags];
