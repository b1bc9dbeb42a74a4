// Configuration: a typed, live view of a prefix.
//
//   const definition = defineConfig(
//     z.object({
//       port: z.number().default(8080),
//       db: z.object({ host: z.string() }),
//     }),
//   );
//   await using config = await definition.open(store, "config/shop/");
//   config.value.db.host                                   // typed, at once
//   config.onChange(({ value, keys }) => ...);
//   await config.update((draft) => { draft.port = 9090; }); // checked before it is written
//   await config.rollback(revision);
//
// Each leaf is a key ("config/shop/db/host") with JSON or plain text: see config-tree.ts. The
// schema is of any library of Standard Schema; its defaults are the configuration's.
//
// Promises:
// - `value` fits the schema, always, and is of one revision. A change that does not fit leaves the
//   last good value in place; `problem` names the path, and what is wrong with it.
// - `update` and `rollback` take place at once and as a whole, on what they were made for: if
//   somebody else changed the configuration meanwhile, they are made anew.
// - While the store is away the last value stays.
//
// Costs: one read and one watch (cache.ts); a change is one write, of the leaves that differ.
//
// Limits: a change is of as many leaves as a transaction takes operations (128). What lies before
// the store's last compaction cannot be rolled back to.

import { ClientError } from "../client/index.ts";
import {
  ConflictError,
  type Entry,
  pathText,
  type Quorate,
  type SchemaInput,
  type SchemaOutput,
  type StandardSchema,
  text,
} from "../sdk/index.ts";
import { Cache, type Freshness } from "./cache.ts";
import { changedKeys, keyOfPath, type Leaves, leavesOf, objectOf } from "./config-tree.ts";
import type { AnyStore } from "./contender.ts";
import { pause, untilAnswered } from "./patience.ts";
import { tellAll } from "./tell.ts";

/** What is wrong with one value. */
export interface ConfigIssue {
  /** "db.host"; empty for the whole. */
  readonly path: string;
  /** The key that holds it, or would, below the prefix. */
  readonly key: string;
  readonly message: string;
}

/** A configuration that does not fit its schema. */
export class InvalidConfigError extends Error {
  override name = "InvalidConfigError";
  readonly issues: readonly ConfigIssue[];
  /** Where it stands; 0 for one that was to be written. */
  readonly revision: number;

  constructor(prefix: string, revision: number, issues: readonly ConfigIssue[]) {
    const what = issues.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`));
    super(`the configuration at "${prefix}" is invalid: ${what.join("; ")}`);
    this.revision = revision;
    this.issues = issues;
  }
}

export interface ConfigChange<Out> {
  readonly value: Out;
  readonly before: Out;
  /** The keys that differ, below the prefix. */
  readonly keys: readonly string[];
  readonly revision: number;
}

export interface OpenConfigOptions {
  /** Gives up waiting for the first value; later it closes the view. */
  readonly signal?: AbortSignal | undefined;
}

export interface ChangeConfigOptions {
  readonly signal?: AbortSignal | undefined;
}

/** A value that fits, and where it comes from. */
interface Version<Out> {
  readonly value: Out;
  readonly leaves: Leaves;
  readonly revision: number;
}

/** What is there, fitting or not. */
interface Stored {
  readonly entries: ReadonlyMap<string, Entry<string>>;
  readonly leaves: Leaves;
  readonly revision: number;
}

const attemptsMax = 50;
const pauseMsMax = 100;

/** A kind of configuration. */
export class ConfigDefinition<Schema extends StandardSchema> {
  readonly schema: Schema;

  constructor(schema: Schema) {
    this.schema = schema;
  }

  /**
   * Opens a view of the keys below `prefix`. Waits while the store is away. Rejects with
   * InvalidConfigError when what is there does not fit, ClientError for what waiting cannot mend,
   * or the signal's reason.
   */
  open(
    store: AnyStore,
    prefix: string,
    options: OpenConfigOptions = {},
  ): Promise<LiveConfig<SchemaOutput<Schema>, SchemaInput<Schema>>> {
    type Out = SchemaOutput<Schema>;
    return LiveConfig.open<Out, SchemaInput<Schema>>(this.schema, store, prefix, options);
  }
}

/** A configuration's schema; it should take `{}`, or the keys must be there before it is opened. */
export function defineConfig<Schema extends StandardSchema>(
  schema: Schema,
): ConfigDefinition<Schema> {
  return new ConfigDefinition(schema);
}

/** The live view. */
export class LiveConfig<Out, In = Out> implements AsyncDisposable {
  readonly prefix: string;
  readonly #schema: StandardSchema;
  readonly #store: Quorate;
  readonly #cache: Cache<string>;
  readonly #listeners = new Set<(change: ConfigChange<Out>) => void>();
  readonly #problemListeners = new Set<(problem: InvalidConfigError) => void>();
  #current: Version<Out>;
  #problem: InvalidConfigError | undefined;
  #following: Promise<void> = Promise.resolve();

  private constructor(
    schema: StandardSchema,
    store: Quorate,
    prefix: string,
    cache: Cache<string>,
    first: Version<Out>,
  ) {
    this.#schema = schema;
    this.#store = store;
    this.prefix = prefix;
    this.#cache = cache;
    this.#current = first;
    cache.onChange(() => this.#follow());
    // What changed while the first value was checked.
    this.#follow();
  }

  /** See `ConfigDefinition.open`. */
  static async open<Out, In>(
    schema: StandardSchema,
    anyStore: AnyStore,
    prefix: string,
    options: OpenConfigOptions,
  ): Promise<LiveConfig<Out, In>> {
    const store = anyStore.namespace(prefix).withCodec(text);
    const cache = await Cache.open(store, { prefix: "" }, options);
    try {
      const { leaves, revision } = storedIn(cache);
      const value = await checked<Out>(schema, objectOf(leaves), { prefix, revision });
      return new LiveConfig<Out, In>(schema, store, prefix, cache, { value, leaves, revision });
    } catch (error) {
      cache.close();
      throw error;
    }
  }

  /** The last value that fitted; frozen, and another object after each change. */
  get value(): Out {
    return this.#current.value;
  }

  /** The store's revision that `value` is of. */
  get revision(): number {
    return this.#current.revision;
  }

  /** What is wrong with what is there now; undefined when `value` is it. */
  get problem(): InvalidConfigError | undefined {
    return this.#problem;
  }

  /** How fresh the view is. */
  get freshness(): Freshness {
    return this.#cache.freshness;
  }

  /** Calls back after each change that fits; returns what ends that. */
  onChange(listener: (change: ConfigChange<Out>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls back after each change that does not fit; returns what ends that. */
  onProblem(listener: (problem: InvalidConfigError) => void): () => void {
    this.#problemListeners.add(listener);
    return () => this.#problemListeners.delete(listener);
  }

  /** Resolves when the view has seen what is there at `revision` or later, fitting or not. */
  async reached(revision: number, signal?: AbortSignal): Promise<void> {
    await this.#cache.reached(revision, signal);
    await this.#following;
  }

  /**
   * Changes the configuration: `change` gets what is stored (without defaults) and alters it, or
   * returns another; it may be called again. Waits while members do not answer, and resolves when
   * the view has it. Rejects with what `change` throws, InvalidConfigError (nothing was written),
   * ConflictError, or ClientError (`uncertain`: it may have taken place, and others changed it).
   */
  async update(
    change: (draft: In) => In | void,
    options: ChangeConfigOptions = {},
  ): Promise<{ readonly revision: number }> {
    return await this.#replace(({ leaves }) => {
      const draft = objectOf(leaves) as In;
      return leavesOf(change(draft) ?? draft);
    }, options);
  }

  /**
   * Brings back what was stored at a revision, as a new change. Rejects as `update`, and with
   * CompactedError.
   */
  async rollback(
    revision: number,
    options: ChangeConfigOptions = {},
  ): Promise<{ readonly revision: number }> {
    const then = await this.#leavesAt(revision, options);
    return await this.#replace(() => then, options);
  }

  /** The configuration of a revision. Rejects with CompactedError or InvalidConfigError. */
  async at(revision: number, options: ChangeConfigOptions = {}): Promise<Out> {
    const leaves = await this.#leavesAt(revision, options);
    return await this.#checked(leaves, revision);
  }

  /** Ends the watching; the value stays. */
  close(): void {
    this.#cache.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  async #leavesAt(revision: number, options: ChangeConfigOptions): Promise<Leaves> {
    const { entries } = await this.#store.range({ prefix: "" }, { revision, ...options }).list();
    return new Map(entries.map(({ key, value }) => [key, value]));
  }

  #checked(leaves: Leaves, revision: number): Promise<Out> {
    return checked<Out>(this.#schema, objectOf(leaves), { prefix: this.prefix, revision });
  }

  /** Takes what the cache has now, after what it had before. */
  #follow(): void {
    const stored = storedIn(this.#cache);
    this.#following = this.#following.then(async () => {
      try {
        const value = await this.#checked(stored.leaves, stored.revision);
        this.#problem = undefined;
        this.#take({ ...stored, value });
      } catch (error) {
        const problem = asProblem(error, this.prefix, stored.revision);
        this.#problem = problem;
        tellAll(this.#problemListeners, problem);
      }
    });
  }

  #take(next: Version<Out>): void {
    const before = this.#current;
    const keys = changedKeys(before.leaves, next.leaves);
    this.#current = keys.length === 0 ? { ...before, revision: next.revision } : next;
    if (keys.length > 0) {
      const { value, revision } = next;
      tellAll(this.#listeners, { value, before: before.value, keys, revision });
    }
  }

  async #replace(
    wanted: (stored: Stored) => Leaves,
    options: ChangeConfigOptions,
  ): Promise<{ readonly revision: number }> {
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const stored = storedIn(this.#cache);
      const leaves = wanted(stored);
      await this.#checked(leaves, 0);
      const keys = changedKeys(stored.leaves, leaves);
      if (keys.length === 0) {
        return { revision: stored.revision };
      }
      const { done, revision } = await this.#write(stored, leaves, keys, options);
      await this.reached(revision, options.signal);
      if (done) {
        return { revision };
      }
      await pause(Math.random() * Math.min(pauseMsMax, 2 ** attempt), options.signal);
    }
    throw new ConflictError(attemptsMax);
  }

  async #write(
    { entries, revision }: Stored,
    leaves: Leaves,
    keys: readonly string[],
    options: ChangeConfigOptions,
  ): Promise<{ readonly done: boolean; readonly revision: number }> {
    const store = this.#store;
    const conditions = keys.map((key) =>
      store.when(key).modRevision("=", entries.get(key)?.modRevision ?? 0),
    );
    const operations = keys.map((key) => {
      const leaf = leaves.get(key);
      return leaf === undefined ? store.op.delete(key) : store.op.put(key, leaf);
    });
    const transaction = store
      .txn()
      // Nothing else has changed, either: it was checked as a whole.
      .if(store.when({ prefix: "" }).modRevision("<", revision + 1), ...conditions)
      .do(...operations);
    /** The last attempt that may have taken place all the same. */
    let unsure: ClientError | undefined;
    const done = await untilAnswered(async (call) => {
      try {
        return await transaction.commit(call);
      } catch (error) {
        unsure = error instanceof ClientError && error.uncertain ? error : unsure;
        throw error;
      }
    }, options.signal);
    if (!done.succeeded && unsure !== undefined) {
      // It may have taken place. If what was wanted is there now, that is all that was asked for.
      const now = await this.#leavesNow(options);
      if (keys.some((key) => now.get(key) !== leaves.get(key))) {
        throw unsure;
      }
      return { done: true, revision: done.revision };
    }
    return { done: done.succeeded, revision: done.revision };
  }

  async #leavesNow({ signal }: ChangeConfigOptions): Promise<Leaves> {
    const range = this.#store.range({ prefix: "" }, { signal });
    const { entries } = await untilAnswered(() => range.list(), signal);
    return new Map(entries.map(({ key, value }) => [key, value]));
  }
}

function storedIn(cache: Cache<string>): Stored {
  const entries = new Map([...cache.entries()].map((entry) => [entry.key, entry]));
  const leaves = new Map([...entries].map(([key, { value }]) => [key, value]));
  return { entries, leaves, revision: cache.revision };
}

/** What the schema makes of it, frozen. Rejects with InvalidConfigError. */
async function checked<Out>(
  schema: StandardSchema,
  value: unknown,
  { prefix, revision }: { readonly prefix: string; readonly revision: number },
): Promise<Out> {
  const result = await schema["~standard"].validate(value);
  if (result.issues === undefined) {
    return deepFreeze(result.value) as Out;
  }
  const issues = result.issues.map(({ message, path }) => {
    const names = (path ?? []).map((segment) =>
      String(typeof segment === "object" ? segment.key : segment),
    );
    return { path: pathText(path), key: keyOfPath(names), message };
  });
  throw new InvalidConfigError(prefix, revision, issues);
}

function asProblem(error: unknown, prefix: string, revision: number): InvalidConfigError {
  const issue = { path: "", key: "", message: String(error) };
  return error instanceof InvalidConfigError
    ? error
    : new InvalidConfigError(prefix, revision, [issue]);
}

function deepFreeze(value: unknown): unknown {
  const prototype: unknown =
    typeof value === "object" && value !== null ? Object.getPrototypeOf(value) : undefined;
  // Other objects (dates, maps, a library's own) are left as they are.
  if (prototype === Object.prototype || prototype === null || Array.isArray(value)) {
    Object.values(value as object).forEach(deepFreeze);
    Object.freeze(value);
  }
  return value;
}
