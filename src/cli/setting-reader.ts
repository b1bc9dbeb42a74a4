// Typed access to settings, with the defaults of the flag table.

import { parseUrls, type ServerUrl } from "../server/index.ts";
import { ConfigError } from "./config-error.ts";
import { type Flag, lookUpFlag } from "./flags/index.ts";
import type { Settings } from "./settings.ts";
import { parseBool, parseDurationMs, parseList, parseWhole } from "./values.ts";

/** Every method takes the name of a flag; those that read numbers throw ConfigError. */
export class SettingReader {
  readonly #settings: Settings;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  isSet(name: string): boolean {
    return this.#settings.values.has(name);
  }

  text(name: string): string {
    return this.#settings.values.get(name)?.text ?? flagOf(name).default;
  }

  bool(name: string): boolean {
    return parseBool(this.text(name));
  }

  list(name: string): string[] {
    return parseList(this.text(name));
  }

  whole(name: string): number {
    return parseWhole(this.text(name), true);
  }

  /** A whole number of at least 1. */
  positive(name: string): number {
    const value = this.whole(name);
    if (value < 1) {
      throw new ConfigError(`--${name} must be >0 (set to ${value})`);
    }
    return value;
  }

  durationMs(name: string): number {
    const value = parseDurationMs(this.text(name));
    if (value < 0) {
      throw new ConfigError(`--${name} must not be negative (set to ${this.text(name)})`);
    }
    return value;
  }

  urls(name: string): ServerUrl[] {
    const text = this.text(name);
    return text === "" ? [] : parseUrls(text);
  }
}

function flagOf(name: string): Flag {
  const found = lookUpFlag(name);
  if (found.kind !== "flag") {
    throw new TypeError(`no flag ${name} in the table`);
  }
  return found.flag;
}
