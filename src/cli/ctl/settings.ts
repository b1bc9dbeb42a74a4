// The global flags, and where their values come from: the command line, QUORATECTL_*, ETCDCTL_*,
// and what else stands behind them. The first that has a value wins.

import { CommandError, exitCodes } from "./failure.ts";
import { boolOf, durationMs, flagFault, type ReadFlag, wholeOf } from "./go-flags.ts";
import { goQuoteText } from "./go-text.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** A global flag; also a variable, QUORATECTL_ or ETCDCTL_ and the name in capitals. */
export interface GlobalFlag extends ReadFlag {
  readonly default: string;
  readonly doc: string;
}

const certificates: readonly GlobalFlag[] = [
  { name: "cacert", kind: "text", default: "", doc: "File of authorities that sign the members" },
  { name: "cert", kind: "text", default: "", doc: "File of this client's certificate" },
  { name: "key", kind: "text", default: "", doc: "File of this client's key" },
  {
    name: "insecure-transport",
    kind: "bool",
    default: "true",
    doc: "No TLS for endpoints without a scheme; =false for TLS",
  },
  {
    name: "insecure-skip-tls-verify",
    kind: "bool",
    default: "false",
    doc: "Take any certificate: anyone may listen in; for tests only",
  },
];

const discovery: readonly GlobalFlag[] = [
  {
    name: "discovery-srv",
    short: "d",
    kind: "text",
    default: "",
    doc: "Domain whose SRV records name the endpoints",
  },
  {
    name: "discovery-srv-name",
    kind: "text",
    default: "",
    doc: "What stands behind the service's name in those records",
  },
  {
    name: "insecure-discovery",
    kind: "bool",
    default: "true",
    doc: "Take records without TLS; =false for those with TLS only",
  },
];

const limits: readonly GlobalFlag[] = [
  {
    name: "max-request-bytes",
    kind: "whole",
    default: "0",
    doc: "Bytes of the largest request that is sent; 0 leaves it to the members",
  },
  {
    name: "max-recv-bytes",
    kind: "whole",
    default: "0",
    doc: "Bytes of the largest reply that is taken; 0 for any",
  },
  { name: "command-timeout", kind: "duration", default: "5s", doc: "How long a command may take" },
  {
    name: "dial-timeout",
    kind: "duration",
    default: "2s",
    doc: "How long to try when no member can be reached",
  },
  {
    name: "keepalive-time",
    kind: "duration",
    default: "2s",
    doc: "How often a connection is tried; at least 10s",
  },
  {
    name: "keepalive-timeout",
    kind: "duration",
    default: "6s",
    doc: "How long a connection may not answer",
  },
];

export const globalFlags: readonly GlobalFlag[] = [
  {
    name: "endpoints",
    kind: "list",
    default: "127.0.0.1:2379",
    doc: "Members to talk to, separated by commas",
  },
  {
    name: "write-out",
    short: "w",
    kind: "text",
    default: "simple",
    doc: "Form of output: simple, fields, json, table, protobuf",
  },
  { name: "hex", kind: "bool", default: "false", doc: "Print keys and values as hex" },
  {
    name: "user",
    kind: "text",
    default: "",
    doc: "name[:password]; a password that is not given is asked for",
  },
  { name: "password", kind: "text", default: "", doc: "Password of --user" },
  {
    name: "auth-jwt-token",
    kind: "text",
    default: "",
    doc: "Token of a user, in place of --user; not kept secret from others on this machine",
  },
  ...certificates,
  ...discovery,
  ...limits,
  {
    name: "context",
    kind: "text",
    default: "",
    doc: "Named context to take flags from; see context list",
  },
  { name: "debug", kind: "bool", default: "false", doc: "Print settings, and all of an error" },
];

/** One place that values come from: a value, or undefined. `origin` names it in errors. */
export interface Layer {
  valueOf(flag: GlobalFlag): { readonly text: string; readonly origin: string } | undefined;
}

/** The flags of the command line. */
export function flagLayer(flags: ReadonlyMap<string, string>): Layer {
  return {
    valueOf({ name }) {
      const text = flags.get(name);
      return text === undefined ? undefined : { text, origin: `--${name}` };
    },
  };
}

/** The name of a flag's variable: "QUORATECTL_WRITE_OUT". */
export function variableOf(prefix: string, name: string): string {
  return `${prefix}${name.toUpperCase().replaceAll("-", "_")}`;
}

/** Variables that begin with `prefix`; an empty one counts as none. */
export function environmentLayer(prefix: string, environment: Environment): Layer {
  return {
    valueOf({ name }) {
      const origin = variableOf(prefix, name);
      const text = environment[origin] ?? "";
      return text === "" ? undefined : { text, origin };
    },
  };
}

/** Values of global flags, read and checked. Every method fails with CommandError. */
export class Settings {
  readonly #layers: readonly Layer[];

  constructor(layers: readonly Layer[]) {
    this.#layers = layers;
  }

  text(name: string): string {
    const flag = globalFlags.find((one) => one.name === name);
    if (flag === undefined) {
      throw new RangeError(`no global flag is called ${name}`);
    }
    for (const layer of this.#layers) {
      const found = layer.valueOf(flag);
      if (found !== undefined) {
        const fault = flagFault(flag, found.text);
        if (fault !== undefined) {
          throw new CommandError(
            exitCodes.badArguments,
            `invalid value ${goQuoteText(found.text)} for ${found.origin}: ${fault}`,
          );
        }
        return found.text;
      }
    }
    return flag.default;
  }

  /** Its value, unless it is not given anywhere. */
  given(name: string): string | undefined {
    return this.isSet(name) ? this.text(name) : undefined;
  }

  /** Whether it is given anywhere. */
  isSet(name: string): boolean {
    const flag = globalFlags.find((one) => one.name === name);
    return flag !== undefined && this.#layers.some((layer) => layer.valueOf(flag) !== undefined);
  }

  bool(name: string): boolean {
    return boolOf(this.text(name)) === true;
  }

  /** A whole number; undefined for 0 and less. */
  limit(name: string): number | undefined {
    const value = Number(wholeOf(this.text(name)) ?? 0n);
    return value > 0 ? value : undefined;
  }

  durationMs(name: string): number {
    return durationMs(this.text(name));
  }

  /** The parts between commas, without repetitions and empty ones. */
  list(name: string): string[] {
    const parts = this.text(name).split(",");
    return [...new Set(parts.map((part) => part.trim()))].filter((part) => part !== "");
  }
}
