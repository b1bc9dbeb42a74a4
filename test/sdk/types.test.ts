// What the type checker says of Quorate. `npm run check:types` is the test: every expected error
// must be one. Nothing here is called.

import { expect, it } from "vitest";
import { z } from "zod";
import {
  bytes,
  type DeleteEvent,
  type Entry,
  json,
  type ProgressEvent,
  type PutEvent,
  Quorate,
  type ResyncEvent,
} from "../../src/sdk/index.ts";

type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Does not compile unless both are the same type. */
function same<A, B>(..._proof: Same<A, B> extends true ? [] : [never]): void {
  // The arguments say all.
}

const endpoints = ["127.0.0.1:1"];
const person = z.object({ name: z.string(), age: z.coerce.number<string>().default(0) });
type Read = { name: string; age: number };
type Written = { name: string; age?: string | undefined };

export async function values(store: Quorate): Promise<void> {
  same<Awaited<ReturnType<typeof store.get>>, Entry<string> | undefined>();
  const people = store.withCodec(person);
  same<typeof people, Quorate<Read, Written>>();
  const entry = await people.get("a");
  same<typeof entry, Entry<Read> | undefined>();
  await people.put("a", { name: "Ada", age: "36" });
  // @ts-expect-error -- the schema takes text.
  await people.put("a", { name: "Ada", age: 36 });
  // @ts-expect-error -- the store has text.
  await store.put("a", 1);
  // @ts-expect-error -- it may not be there.
  void entry.value;
  await store.withCodec(bytes).put("a", new Uint8Array(1));
  await store.withCodec(json<readonly number[]>()).put("a", [1]);
  const made = new Quorate({ endpoints, codec: json<{ on: boolean }>() });
  same<typeof made, Quorate<{ on: boolean }>>();
  same<ReturnType<typeof store.namespace>, Quorate>();
  // @ts-expect-error -- without endpoints there is nothing to connect to.
  void new Quorate({});
}

export async function transactions(store: Quorate): Promise<void> {
  const numbers = store.withCodec(json<number>());
  const done = await store
    .txn()
    .if(store.when("a").exists())
    .do(numbers.op.get("n"), store.op.delete("a"))
    .else(store.op.put("a", "1"))
    .commit();
  if (done.succeeded) {
    same<(typeof done.results)[0], Entry<number> | undefined>();
    same<(typeof done.results)["length"], 2>();
  } else {
    same<(typeof done.results)["length"], 1>();
    // @ts-expect-error -- only one thing is done otherwise.
    const [, second] = done.results;
    same<typeof second, undefined>();
  }
  // @ts-expect-error -- a number is no text.
  store.op.put("a", 1);
  // @ts-expect-error -- there is no such comparison.
  store.when("a").version("<=", 1);
  const memory = await numbers.stm(async (view) => (await view.get("n"))?.value);
  same<typeof memory.result, number | undefined>();
}

export function watches(store: Quorate, resync: boolean): void {
  type EventsOf<W> = W extends AsyncIterable<infer E> ? E : never;
  type Changes = PutEvent<string> | DeleteEvent<string>;
  const plain = store.watch("a");
  same<EventsOf<typeof plain>, Changes>();
  const previous = store.watch("a", { previous: true, resync: false });
  same<EventsOf<typeof previous>, Changes>();
  const initial = store.watch("a", { initial: true });
  same<EventsOf<typeof initial>, Changes | ResyncEvent<string>>();
  const maybe = store.watch("a", { resync });
  same<EventsOf<typeof maybe>, Changes | ResyncEvent<string>>();
  const progress = store.watch("a", { progress: true });
  same<EventsOf<typeof progress>, Changes | ProgressEvent>();
  // @ts-expect-error -- a range is a prefix or has a beginning, not both.
  store.watch({ prefix: "a", from: "b" });
}

it("is checked by the compiler", () => {
  expect([values, transactions, watches].map(({ length }) => length)).toEqual([1, 1, 2]);
});
