// --feature-gates: etcd's switches for what is not finished there, as "A=true,B=false". Some of it
// is always so here, some has no meaning; a gate that asks for something else than what is so is
// warned about. The texts of the errors are those of etcd's parser.

import { type FeatureGate, featureGates } from "../server/index.ts";
import { ConfigError, quoted } from "./config-error.ts";
import { parseBool } from "./values.ts";

/** Gates that stand for all of their stage. */
const stageGates: Readonly<Record<string, FeatureGate["stage"]>> = {
  AllAlpha: "ALPHA",
  AllBeta: "BETA",
};

/** What `text` asks for, by gate. Throws ConfigError. */
export function parseFeatureGates(text: string): Map<string, boolean> {
  const asked = new Map<string, boolean>();
  for (const part of text.split(",").map((one) => one.trim())) {
    if (part === "") {
      continue;
    }
    const [name = "", value] = part.split("=", 2).map((one) => one.trim());
    if (value === undefined) {
      throw new ConfigError(`missing bool value for ${name}`);
    }
    if (stageGates[name] === undefined && !featureGates.some((known) => known.name === name)) {
      throw new ConfigError(`unrecognized feature gate: ${name}`);
    }
    try {
      asked.set(name, parseBool(value));
    } catch {
      throw new ConfigError(`invalid value of ${name}=${value}, err: not a boolean`);
    }
  }
  return asked;
}

/** Every gate as it is in force. */
export function gatesInForce(text: string): Map<string, boolean> {
  const asked = parseFeatureGates(text);
  return new Map(
    featureGates.map((known) => [
      known.name,
      known.works ? (askedFor(asked, known) ?? known.default) : known.default,
    ]),
  );
}

/** Gates that ask for what cannot be had. */
export function ignoredGates(text: string): FeatureGate[] {
  const asked = parseFeatureGates(text);
  return featureGates.filter(
    (known) => !known.works && (asked.get(known.name) ?? known.default) !== known.default,
  );
}

function askedFor(
  asked: ReadonlyMap<string, boolean>,
  { name, stage }: FeatureGate,
): boolean | undefined {
  const ofStage = Object.keys(stageGates).find((known) => stageGates[known] === stage);
  return asked.get(name) ?? (ofStage === undefined ? undefined : asked.get(ofStage));
}

/** The value of --feature-gates that `experimental` flags amount to, with `text` itself. */
export function withGateFlags(
  text: string,
  experimental: ReadonlyMap<string, { readonly text: string; readonly origin: string }>,
): string {
  const asked = parseFeatureGates(text);
  const parts = text === "" ? [] : [text];
  for (const [gateName, { text: value, origin }] of experimental) {
    const other = asked.get(gateName);
    if (other !== undefined) {
      throw new ConfigError(
        `cannot specify both flags: ${origin}=${value} and --feature-gates=` +
          `${quoted(`${gateName}=${other}`)}, please just use --feature-gates`,
      );
    }
    parts.push(`${gateName}=${value}`);
  }
  return parts.join(",");
}
