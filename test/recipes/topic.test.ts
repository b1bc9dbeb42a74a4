// Topics: every subscriber gets every message once, in one order, while members are killed, links
// cut and history compacted.

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Message, Topic } from "../../src/recipes/index.ts";
import { InvalidValueError, Quorate, schema } from "../../src/sdk/index.ts";
import type { TestCluster } from "../../src/testing/index.ts";
import { z } from "zod";
import { threeMembers, underFaults } from "./chaos.ts";

let cluster: TestCluster;
let store: Quorate;

beforeAll(async () => {
  cluster = await threeMembers();
  store = new Quorate({ endpoints: cluster.endpoints });
});

afterAll(async () => {
  store.close();
  await cluster.close();
});

/** The first `count` messages. */
async function read<V>(messages: AsyncIterable<Message<V>>, count: number): Promise<Message<V>[]> {
  const all: Message<V>[] = [];
  for await (const message of messages) {
    all.push(message);
    if (all.length === count) {
      break;
    }
  }
  return all;
}

describe("a topic", () => {
  it("numbers messages, and gives the history and what comes", async () => {
    await using topic = new Topic<string>(store, "news");
    expect(await topic.lastOffset()).toBe(0);
    const offsets = await Promise.all(["a", "b", "c"].map((value) => topic.publish(value)));
    expect(offsets.map(({ offset }) => offset)).toEqual([1, 2, 3]);
    const all = read(topic.subscribe({ after: 0 }), 4);
    const some = read(topic.subscribe({ after: 2 }), 2);
    const fromNow = topic.subscribe();
    const next = fromNow.next();
    // The subscription has begun when it has asked where the end is.
    await sleep(300);
    await topic.publish("d");
    const plain = (messages: readonly Message<string>[]): string[] =>
      messages.map(({ offset, value }) => `${offset} ${value}`);
    expect(plain(await all)).toEqual(["1 a", "2 b", "3 c", "4 d"]);
    expect(plain(await some)).toEqual(["3 c", "4 d"]);
    expect((await next).value).toEqual({ offset: 4, value: "d", missed: 0 });
    await fromNow.return(undefined);
  });

  it("pages through a long history, and ends by its signal", async () => {
    await using topic = new Topic<number>(store, "long");
    const count = 450;
    await Promise.all(Array.from({ length: count }, (_, i) => topic.publish(i + 1)));
    const stop = new AbortController();
    const seen: number[] = [];
    for await (const { value } of topic.subscribe({ after: 0, signal: stop.signal })) {
      seen.push(value);
      if (seen.length === count) {
        stop.abort();
      }
    }
    expect(seen).toEqual(Array.from({ length: count }, (_, i) => i + 1));
  });

  it("keeps so many, and says what was missed", async () => {
    await using topic = new Topic<number>(store, "short", { historyMax: 5 });
    for (let i = 1; i <= 12; i++) {
      await topic.publish(i);
    }
    expect(await store.count({ prefix: "short/messages/" })).toBe(5);
    const messages = await read(topic.subscribe({ after: 3 }), 5);
    expect(messages.map(({ offset, missed }) => [offset, missed])).toEqual([
      [8, 4],
      [9, 0],
      [10, 0],
      [11, 0],
      [12, 0],
    ]);
    expect(() => new Topic(store, "none", { historyMax: 0 })).toThrow(RangeError);
  });

  it("goes on over a compaction of the store's own history", async () => {
    const lonely = await cluster.isolate();
    await using own = new Quorate({ endpoints: [lonely.endpoint] });
    cluster.heal();
    await using topic = new Topic<number>(store, "compacted");
    await topic.publish(1);
    const subscription = new Topic<number>(own, "compacted").subscribe({ after: 0 });
    expect((await subscription.next()).value?.offset).toBe(1);
    const pending = read(subscription, 9);
    await lonely.kill();
    await cluster.leader();
    for (let i = 2; i <= 10; i++) {
      await topic.publish(i);
    }
    const { revision } = await store.put("elsewhere", "x");
    await store.client.compact({ revision });
    await lonely.start();
    expect((await pending).map(({ value }) => value)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it("refuses a value that its schema refuses, and publishes the others", async () => {
    const codec = schema(z.object({ n: z.number() }));
    await using topic = new Topic<{ n: number }>(store, "checked", { codec });
    const good = topic.publish({ n: 1 });
    await expect(topic.publish({ n: "x" } as never)).rejects.toThrow(InvalidValueError);
    expect(await good).toEqual({ offset: 1 });
  });

  it("gives everybody everything once and in order under faults", async () => {
    const published: { readonly offset: number; readonly value: string }[] = [];
    const enough = (): boolean => published.length > 50;
    await underFaults(cluster, { durationMs: 7_000, enough }, async (over) => {
      const publish = async (name: string): Promise<void> => {
        await using own = new Quorate({ endpoints: cluster.endpoints });
        await using topic = new Topic<string>(own, "chaos");
        for (let i = 0; !over.aborted; i++) {
          const value = `${name} ${i}`;
          published.push({ value, ...(await topic.publish(value)) });
          await sleep(10);
        }
      };
      const stop = new AbortController();
      const subscribe = async (): Promise<Message<string>[]> => {
        await using own = new Quorate({ endpoints: cluster.endpoints });
        const seen: Message<string>[] = [];
        const options = { after: 0, signal: stop.signal };
        for await (const message of new Topic<string>(own, "chaos").subscribe(options)) {
          seen.push(message);
          if (over.aborted && message.value === "the end") {
            break;
          }
        }
        return seen;
      };
      const reading = Promise.all([subscribe(), subscribe()]);
      await Promise.all([publish("a"), publish("b")]);
      await using topic = new Topic<string>(store, "chaos");
      published.push({ value: "the end", ...(await topic.publish("the end")) });
      const expected = published
        .toSorted((a, b) => a.offset - b.offset)
        .map(({ offset, value }) => ({ offset, value, missed: 0 }));
      expect(expected.map(({ offset }) => offset)).toEqual(expected.map((_, i) => i + 1));
      for (const seen of await reading) {
        expect(seen).toEqual(expected);
      }
      expect(expected.length).toBeGreaterThan(50);
    });
  });
});
