// The same watches on both servers: what each hears must be the same events in the same order. How
// they are cut into responses is up to a server, and so is how far a watch has come when it is
// cancelled, or caught behind by a compaction: then one may have heard more than the other, but
// nothing else.

import type { SeededRng } from "../../../src/base/index.ts";
import { WatchCreateRequest, WatchRequest, WatchResponse } from "../../../src/wire/index.ts";
import { bytes, keys, rangeEnds } from "./requests.ts";
import type { ByteStream, RawClient } from "./servers.ts";

/** Put to at the end: the first watch waits for nothing else. */
const lastKey = bytes("\xff\xff");

export class WatchPair {
  readonly #rng: SeededRng;
  readonly #streams: readonly [ByteStream, ByteStream];
  readonly #requests = new Map<bigint, string>();
  #count = 0n;

  constructor(rng: SeededRng, theirs: RawClient, ours: RawClient) {
    this.#rng = rng;
    const path = "/etcdserverpb.Watch/Watch";
    this.#streams = [theirs.stream(path), ours.stream(path)];
    this.#create({ key: lastKey, startRevision: 0 });
  }

  /** Starts a random watch on both, from around `revision`. */
  start(revision: number): void {
    const start = this.#rng.below(3);
    this.#create({
      key: this.#rng.below(3) === 0 ? bytes("\0") : this.#pick(keys),
      rangeEnd: this.#pick(rangeEnds),
      startRevision: start === 0 ? 0 : Math.max(1, revision + 4 - this.#rng.below(40)),
      prevKv: this.#rng.below(2) === 0,
      filters: this.#rng.below(4) === 0 ? [this.#rng.below(2)] : [],
    });
  }

  /** Ends a watch that may have been started. */
  cancel(): void {
    const watchId = BigInt(1 + this.#rng.below(Number(this.#count)));
    this.#send({ requestUnion: { kind: "cancelRequest", value: { watchId } } });
  }

  end(): void {
    for (const stream of this.#streams) {
      stream.cancel();
    }
  }

  /** What the two heard of each watch where it differs, and how many watches heard all. */
  compare(): { readonly differences: readonly object[]; readonly whole: number } {
    const [theirs, ours] = this.#streams.map((stream) => told(stream.replies)) as [Told, Told];
    const differences: object[] = [];
    let whole = 0;
    for (const id of new Set([...theirs.keys(), ...ours.keys()])) {
      const [expected, actual] = [theirs.get(id) ?? nothing, ours.get(id) ?? nothing];
      const length = Math.min(
        expected.isOver ? expected.events.length : Number.POSITIVE_INFINITY,
        actual.isOver ? actual.events.length : Number.POSITIVE_INFINITY,
      );
      whole += Number(length === Number.POSITIVE_INFINITY);
      const [a, b] = [expected.events.slice(0, length), actual.events.slice(0, length)];
      let at = 0;
      while (at < a.length && a[at] === b[at]) {
        at++;
      }
      if (expected.created !== actual.created || a.length !== b.length || at < a.length) {
        const shown = (lines: string[]): string[] => lines.slice(Math.max(0, at - 2), at + 2);
        differences.push({ request: this.#requests.get(id), theirs: shown(a), ours: shown(b) });
      }
    }
    return { differences, whole };
  }

  static get lastKey(): Uint8Array {
    return lastKey;
  }

  #create(request: Partial<WatchCreateRequest>): void {
    const value = WatchCreateRequest.create({ ...request, watchId: ++this.#count });
    this.#requests.set(this.#count, JSON.stringify(value, textOf));
    this.#send({ requestUnion: { kind: "createRequest", value } });
  }

  #send(request: WatchRequest): void {
    for (const stream of this.#streams) {
      stream.send(WatchRequest.encode(request));
    }
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#rng.below(list.length)] as T;
  }
}

interface Heard {
  created: boolean;
  /** Cancelled for whatever reason. */
  isOver: boolean;
  readonly events: string[];
}

type Told = Map<bigint, Heard>;

const nothing: Heard = { created: false, isOver: false, events: [] };

function told(replies: readonly Uint8Array[]): Told {
  const watches: Told = new Map();
  for (const reply of replies.map((bytes_) => WatchResponse.decode(bytes_))) {
    const watch = watches.get(reply.watchId) ?? { created: false, isOver: false, events: [] };
    watches.set(reply.watchId, watch);
    watch.created ||= reply.created;
    watch.isOver ||= reply.canceled;
    for (const { type, kv, prevKv } of reply.events) {
      watch.events.push(JSON.stringify([type, kv, prevKv], textOf));
    }
  }
  return watches;
}

function textOf(_: string, value: unknown): unknown {
  if (typeof value === "object" && value !== null && "type" in value && "data" in value) {
    return Buffer.from(value.data as number[]).toString("latin1");
  }
  return typeof value === "bigint" ? String(value) : value;
}
