// A name resolver for @grpc/grpc-js: clients dial `quorate:///orders` and follow the instances that
// are registered under "orders" (discovery.ts).
//
//   registerGrpcResolver(store);
//   const client = new OrdersClient("quorate:///orders", credentials.createInsecure());
//
// `quorate://name/orders` is for a second store, registered with `{ authority: "name" }`.
//
// Promises: calls go round robin over the instances on the list, and to none that has left it; one
// that died is tried no more than a TTL and a second after. A name that is looked up while the
// store is without a leader, or away, waits (within its calls' deadlines) if the list is not known
// yet, and is answered from the list if it is: no change of leader fails a look-up. Calls to a
// service without instances wait for the first one, within their deadlines.
//
// All channels to one service share one list. grpc-js calls its resolver API experimental; it is
// used here alone.

import { type ChannelOptions, experimental, status } from "@grpc/grpc-js";
import type { AnyStore } from "./contender.ts";
import { follow, type Instances } from "./discovery.ts";

export interface GrpcResolverOptions {
  /** "quorate" unless told. */
  readonly scheme?: string | undefined;
  /** The part between "//" and "/" of the names that this store resolves; empty unless told. */
  readonly authority?: string | undefined;
}

type Listener = experimental.ResolverListener;
type ResolverConstructor = Parameters<typeof experimental.registerResolver>[1];
type Target = experimental.GrpcUri;

/** Calls take turns over all instances. */
const serviceConfig = {
  loadBalancingConfig: [{ round_robin: {} }],
  methodConfig: [],
};

/** The list of one service, for as long as a channel wants it. */
class SharedList {
  readonly #store: AnyStore;
  readonly #service: string;
  readonly #users = new Set<(list: SharedList) => void>();
  #stop = new AbortController();
  #instances: Instances | undefined;
  #failure: Error | undefined;

  constructor(store: AnyStore, service: string) {
    this.#store = store;
    this.#service = service;
  }

  /** The addresses; undefined while they are not known. */
  get addresses(): readonly string[] | undefined {
    return this.#instances?.instances.map(({ address }) => address);
  }

  /** Why there is no list, if there will be none. */
  get failure(): Error | undefined {
    return this.#failure ?? this.#instances?.failure;
  }

  use(user: (list: SharedList) => void): void {
    this.#users.add(user);
    if (this.#users.size === 1) {
      this.#stop = new AbortController();
      void this.#open(this.#stop);
    }
  }

  /** Follows anew after a failure that waiting could not mend. */
  retry(): void {
    this.#stop.abort();
    this.#instances?.close();
    this.#instances = undefined;
    this.#stop = new AbortController();
    void this.#open(this.#stop);
  }

  leave(user: (list: SharedList) => void): void {
    if (this.#users.delete(user) && this.#users.size === 0) {
      this.#stop.abort();
      this.#instances?.close();
      this.#instances = undefined;
    }
  }

  async #open(stop: AbortController): Promise<void> {
    this.#failure = undefined;
    try {
      const instances = await follow(this.#store, this.#service, { signal: stop.signal });
      if (stop.signal.aborted) {
        instances.close();
        return;
      }
      this.#instances = instances;
      instances.onChange(() => this.#tell());
    } catch (error) {
      if (stop.signal.aborted) {
        return;
      }
      this.#failure = error instanceof Error ? error : new Error(String(error));
    }
    this.#tell();
  }

  #tell(): void {
    for (const user of [...this.#users]) {
      user(this);
    }
  }
}

/** The lists of one store, by service. */
class Lists {
  readonly #store: AnyStore;
  readonly #byService = new Map<string, SharedList>();

  constructor(store: AnyStore) {
    this.#store = store;
  }

  of(service: string): SharedList {
    const known = this.#byService.get(service) ?? new SharedList(this.#store, service);
    this.#byService.set(service, known);
    return known;
  }
}

/** Stores by scheme and authority. */
const schemes = new Map<string, Map<string, Lists>>();

function splitHostPort(address: string): { readonly host: string; readonly port: number } {
  const parts = experimental.splitHostPort(address);
  return { host: parts?.host ?? address, port: parts?.port ?? 443 };
}

function makeResolver(stores: ReadonlyMap<string, Lists>): ResolverConstructor {
  return class QuorateResolver {
    readonly #list: SharedList | undefined;
    readonly #listener: Listener;
    readonly #name: string;
    #isUsing = false;

    constructor(target: Target, listener: Listener, _options: ChannelOptions) {
      this.#name = experimental.uriToString(target);
      this.#list = stores.get(target.authority ?? "")?.of(target.path.replace(/^\//, ""));
      this.#listener = listener;
    }

    static getDefaultAuthority(target: Target): string {
      return target.path.replace(/^\//, "");
    }

    updateResolution(): void {
      if (this.#list === undefined) {
        process.nextTick(() => this.#fail(`no store is registered for ${this.#name}`));
      } else if (!this.#isUsing) {
        this.#isUsing = true;
        this.#list.use(this.#onChange);
        process.nextTick(this.#onChange);
      } else if (this.#list.failure !== undefined) {
        this.#list.retry();
      }
    }

    destroy(): void {
      this.#isUsing = false;
      this.#list?.leave(this.#onChange);
    }

    readonly #onChange = (): void => {
      const list = this.#list;
      if (!this.#isUsing || list === undefined) {
        return;
      }
      const { addresses, failure } = list;
      if (addresses !== undefined) {
        // Also an empty list, so that nobody is called who has left it: grpc-js would keep the
        // addresses that it has when it is told of an error.
        const endpoints = [...new Set(addresses)].map((address) => ({
          addresses: [splitHostPort(address)],
        }));
        const config = experimental.statusOrFromValue(serviceConfig);
        const note = addresses.length === 0 ? `${this.#name} has no instances` : "";
        this.#listener(experimental.statusOrFromValue(endpoints), {}, config, note);
      } else if (failure !== undefined) {
        this.#fail(`${this.#name}: ${failure.message}`);
      }
    };

    #fail(details: string): void {
      const error = experimental.statusOrFromError<never>({ code: status.UNAVAILABLE, details });
      this.#listener(error, {}, null, "");
    }
  };
}

/**
 * Lets grpc-js clients of this process dial names of services of `store`. Once for each scheme and
 * authority; again, it takes the earlier store's place for channels made from then on.
 */
export function registerGrpcResolver(store: AnyStore, options: GrpcResolverOptions = {}): void {
  const { scheme = "quorate", authority = "" } = options;
  const stores = schemes.get(scheme) ?? new Map<string, Lists>();
  stores.set(authority, new Lists(store));
  if (!schemes.has(scheme)) {
    schemes.set(scheme, stores);
    experimental.registerResolver(scheme, makeResolver(stores));
  }
}
