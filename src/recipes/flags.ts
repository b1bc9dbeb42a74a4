// Feature flags: features that are on for everybody, for some, or for a part of all.
//
//   await using flags = await FeatureFlags.open(store, { lastKnownFile: "flags.json" });
//   if (flags.isOn("new-cart", user.id)) { ... }          // at once, no round trip
//   await flags.set("new-cart", { enabled: true, percent: 10, include: ["ada"] });
//
// A flag is a key ("flags/new-cart") with JSON, so it may be set by hand:
//   quoratectl put flags/new-cart '{"enabled":true,"percent":10}'
//
// Promises:
// - `isOn` says the same for the same flag, settings and subject in every process, in every
//   language that computes it (see `rolloutShare`); growing `percent` only adds subjects, and
//   which ones are in is another choice for each flag.
// - While the store is away the last known flags stand; with `lastKnownFile` also in a process that
//   starts meanwhile. `source` and `freshness` say what an answer rests on.
// - What is set is seen by every process that reaches the store, in the order in which it was set.
// - A flag that cannot be read (no JSON, no such shape) stays what it was; `problems` says so.
//
// Costs: one read and one watch for all flags (cache.ts), and their memory. A write of the file
// after each change.

import { createHash } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { type CallOptions } from "../client/index.ts";
import { json, type Quorate, text } from "../sdk/index.ts";
import { Cache, type Freshness } from "./cache.ts";
import type { AnyStore } from "./contender.ts";
import { tellAll } from "./tell.ts";

/** A flag's settings. */
export interface Flag {
  /** Off for everybody when false. */
  readonly enabled: boolean;
  /** The part of all subjects for whom it is on, 0 to 100; 100 unless told. */
  readonly percent?: number | undefined;
  /** Subjects for whom it is on whatever `percent` says. */
  readonly include?: readonly string[] | undefined;
  /** Subjects for whom it is off. */
  readonly exclude?: readonly string[] | undefined;
}

export interface FeatureFlagsOptions {
  /** Where the flags are; "flags/" unless told. */
  readonly prefix?: string | undefined;
  /** What a flag is that is not known: neither in the store nor from before. */
  readonly defaults?: Readonly<Record<string, Flag>> | undefined;
  /** A file that keeps the last known flags for the next start. */
  readonly lastKnownFile?: string | undefined;
  /** Milliseconds that `open` waits for the store before it goes on without; 2,000 unless told. */
  readonly waitMs?: number | undefined;
}

/** Where flags come from: the store (now or earlier), the file, or nothing but the defaults. */
export type FlagSource = "store" | "file" | "defaults";

/** A flag's change; undefined for one that is not there. */
export interface FlagChange {
  readonly name: string;
  readonly flag: Flag | undefined;
  readonly before: Flag | undefined;
}

const waitMsDefault = 2_000;
const percentMax = 100;

/**
 * Where in 0 (inclusive) to 1 (exclusive) a subject stands for a flag: the first 32 bits of the
 * SHA-256 of the UTF-8 text "<flag>\0<subject>", as a fraction. It is in when percent / 100 is
 * larger.
 */
export function rolloutShare(name: string, subject: string): number {
  const digest = createHash("sha256").update(`${name}\0${subject}`).digest();
  return digest.readUInt32BE(0) / 2 ** 32;
}

export class FeatureFlags implements AsyncDisposable {
  readonly #store: Quorate;
  readonly #defaults: ReadonlyMap<string, Flag>;
  readonly #file: string | undefined;
  readonly #stop = new AbortController();
  readonly #problems = new Map<string, string>();
  readonly #listeners = new Set<(change: FlagChange) => void>();
  #flags = new Map<string, Flag>();
  #source: FlagSource = "defaults";
  #cache: Cache<string> | undefined;
  #saving: Promise<void> = Promise.resolve();
  #failure: Error | undefined;

  private constructor(anyStore: AnyStore, options: FeatureFlagsOptions) {
    const { prefix = "flags/", defaults = {}, lastKnownFile } = options;
    this.#store = anyStore.namespace(prefix).withCodec(text);
    this.#defaults = new Map(Object.entries(defaults).map(([name, flag]) => [name, checked(flag)]));
    this.#file = lastKnownFile;
  }

  /**
   * Reads the flags and follows them. When the store does not answer in time it goes on with what
   * the file has, or the defaults, and takes the store's flags when it is there. Rejects with
   * TypeError for defaults that are no flags, and with ClientError for what waiting cannot mend.
   */
  static async open(store: AnyStore, options: FeatureFlagsOptions = {}): Promise<FeatureFlags> {
    const flags = new FeatureFlags(store, options);
    await flags.#readFile();
    const opening = flags.#connect();
    const waiting = new AbortController();
    const waited = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, options.waitMs ?? waitMsDefault);
      waiting.signal.addEventListener("abort", () => clearTimeout(timer));
    });
    await Promise.race([opening, waited]);
    waiting.abort();
    if (flags.#failure !== undefined) {
      throw flags.#failure;
    }
    return flags;
  }

  /**
   * Whether a feature is on for a subject (a user, a tenant, a machine). Without one it is on only
   * if it is on for everybody. `otherwise` stands for a flag that nobody knows.
   */
  isOn(name: string, subject?: string, otherwise = false): boolean {
    const flag = this.get(name);
    if (flag === undefined) {
      return otherwise;
    }
    const { enabled, percent = percentMax, include = [], exclude = [] } = flag;
    if (!enabled) {
      return false;
    }
    if (subject === undefined) {
      return percent === percentMax && exclude.length === 0;
    }
    if (exclude.includes(subject)) {
      return false;
    }
    return include.includes(subject) || rolloutShare(name, subject) < percent / percentMax;
  }

  /** A flag's settings, or its default. */
  get(name: string): Flag | undefined {
    return this.#flags.get(name) ?? this.#defaults.get(name);
  }

  /** The names of all flags that are known, sorted. */
  names(): string[] {
    return [...new Set([...this.#flags.keys(), ...this.#defaults.keys()])].sort();
  }

  get source(): FlagSource {
    return this.#source;
  }

  /** How fresh the flags are; undefined until the store has answered once. */
  get freshness(): Freshness | undefined {
    return this.#cache?.freshness;
  }

  /** What is wrong with flags in the store, by name. */
  get problems(): ReadonlyMap<string, string> {
    return this.#problems;
  }

  /** Why flags are not followed any more (permission taken, say); undefined while they are. */
  get failure(): Error | undefined {
    return this.#failure ?? this.#cache?.failure;
  }

  /** Calls back after each flag's change; returns what ends that. */
  onChange(listener: (change: FlagChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Sets a flag for everybody. Rejects with TypeError for what is no flag, or ClientError. */
  async set(
    name: string,
    flag: Flag,
    call: CallOptions = {},
  ): Promise<{ readonly revision: number }> {
    const { revision } = await this.#store.withCodec(json()).put(name, checked(flag), call);
    await this.#cache?.reached(revision, call.signal);
    return { revision };
  }

  /** Takes a flag out: its default stands again. Rejects with ClientError. */
  async remove(name: string, call: CallOptions = {}): Promise<void> {
    const { revision } = await this.#store.delete(name, call);
    await this.#cache?.reached(revision, call.signal);
  }

  /** Ends the following; the flags stay what they are. Resolves when the file is written. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#cache?.close();
    await this.#saving;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Never rejects. */
  async #connect(): Promise<void> {
    const { signal } = this.#stop;
    try {
      const cache = await Cache.open(this.#store, { prefix: "" }, { signal });
      this.#cache = cache;
      cache.onChange(() => this.#take(cache));
      this.#take(cache);
    } catch (error) {
      if (!signal.aborted) {
        this.#failure = error instanceof Error ? error : new Error(String(error));
      }
    }
  }

  #take(cache: Cache<string>): void {
    const before = this.#flags;
    const next = new Map<string, Flag>();
    this.#problems.clear();
    for (const { key: name, value } of cache.entries()) {
      try {
        next.set(name, checked(JSON.parse(value)));
      } catch (error) {
        this.#problems.set(name, error instanceof Error ? error.message : String(error));
        const last = before.get(name);
        if (last !== undefined) {
          next.set(name, last);
        }
      }
    }
    this.#flags = next;
    this.#source = "store";
    for (const name of new Set([...before.keys(), ...next.keys()])) {
      const [flag, old] = [next.get(name), before.get(name)];
      if (JSON.stringify(flag) !== JSON.stringify(old)) {
        tellAll(this.#listeners, { name, flag, before: old });
      }
    }
    this.#save();
  }

  /** A file that is not there or cannot be read is none; what is wrong with it is a warning. */
  async #readFile(): Promise<void> {
    if (this.#file === undefined) {
      return;
    }
    try {
      const stored = JSON.parse(await readFile(this.#file, "utf8")) as Record<string, unknown>;
      this.#flags = new Map(Object.entries(stored).map(([name, flag]) => [name, checked(flag)]));
      this.#source = "file";
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
        process.emitWarning(`flags of before are not read from ${this.#file}: ${String(error)}`);
      }
    }
  }

  /** Writes the file anew; readers see the old one or the new one, whole. */
  #save(): void {
    const file = this.#file;
    if (file === undefined) {
      return;
    }
    const content = JSON.stringify(Object.fromEntries(this.#flags), undefined, 2);
    this.#saving = this.#saving.then(async () => {
      try {
        const fresh = `${file}.${process.pid}.new`;
        await writeFile(fresh, `${content}\n`);
        await rename(fresh, file);
      } catch (error) {
        process.emitWarning(`the last known flags are not kept in ${file}: ${String(error)}`);
      }
    });
  }
}

/** Throws TypeError that says what is wrong. */
function checked(value: unknown): Flag {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError("a flag is an object with `enabled`");
  }
  const { enabled, percent, include, exclude, ...rest } = value as Record<string, unknown>;
  const unknown = Object.keys(rest)[0];
  if (unknown !== undefined) {
    throw new TypeError(`a flag has no \`${unknown}\``);
  }
  if (typeof enabled !== "boolean") {
    throw new TypeError("`enabled` must be true or false");
  }
  if (percent !== undefined) {
    const fits = typeof percent === "number" && percent >= 0 && percent <= percentMax;
    if (!fits) {
      throw new TypeError("`percent` must be a number from 0 to 100");
    }
  }
  for (const [name, list] of Object.entries({ include, exclude })) {
    if (
      list !== undefined &&
      !(Array.isArray(list) && list.every((each) => typeof each === "string"))
    ) {
      throw new TypeError(`\`${name}\` must be a list of texts`);
    }
  }
  return value as Flag;
}
