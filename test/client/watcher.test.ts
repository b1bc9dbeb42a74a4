// A watch across broken connections: every event once, in order, or an error.

import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { fromUtf8, grpcStatus } from "../../src/base/index.ts";
import {
  type Client,
  type ClientError,
  CompactedError,
  connect,
  keyBytes,
  type Watcher,
} from "../../src/client/index.ts";
import { Event, KeyValue, ResponseHeader, type WatchResponse } from "../../src/wire/index.ts";
import { FakeStore, type FakeWatch } from "./fake-store.ts";

let first = new FakeStore();
let second = new FakeStore();
let client: Client;
beforeEach(async () => {
  first = new FakeStore();
  second = new FakeStore();
  await Promise.all([first.start(), second.start()]);
  client = connect({ endpoints: [first.endpoint, second.endpoint] });
});
afterEach(() => {
  client.close();
  first.stop();
  second.stop();
});

const header = (revision: number): ResponseHeader => ResponseHeader.create({ revision });

function eventAt(revision: number): Event {
  const kv = KeyValue.create({ key: keyBytes(`k${revision}`), modRevision: revision });
  return Event.create({ kv });
}

function sendEvents(watch: FakeWatch, ...revisions: number[]): void {
  watch.reply({ header: header(revisions.at(-1) ?? 0), events: revisions.map(eventAt) });
}

/** The keys of the next `count` events. */
async function take(watcher: Watcher, count: number): Promise<string[]> {
  const keys: string[] = [];
  const replies = watcher[Symbol.asyncIterator]() as AsyncIterator<WatchResponse, undefined>;
  while (keys.length < count) {
    const { value } = await replies.next();
    keys.push(...(value?.events ?? []).map((event) => fromUtf8(event.kv?.key ?? keyBytes(""))));
  }
  return keys;
}

async function errorOf(watcher: Watcher): Promise<unknown> {
  try {
    for await (const reply of watcher) {
      expect(reply.events).toEqual([]);
    }
  } catch (error) {
    return error;
  }
  return undefined;
}

it("resumes on the next endpoint after the last event it saw", async () => {
  first.onWatch = (watch) => {
    watch.reply({ created: true, header: header(4) });
    sendEvents(watch, 5, 6);
  };
  second.onWatch = (watch) => {
    watch.reply({ created: true, header: header(9) });
    sendEvents(watch, 7, 8, 9);
  };
  const watcher = client.watch({ key: keyBytes("k") });
  expect(await take(watcher, 2)).toEqual(["k5", "k6"]);
  first.stop();
  expect(await take(watcher, 3)).toEqual(["k7", "k8", "k9"]);
  expect(first.watches[0]?.request.startRevision).toBe(0);
  expect(second.watches[0]?.request.startRevision).toBe(7);
  watcher.close();
});

it("loses nothing between opening from now and a break", async () => {
  first.onWatch = (watch) => watch.reply({ created: true, header: header(4) });
  second.onWatch = (watch) => watch.reply({ created: true, header: header(9) });
  const watcher = client.watch({ key: keyBytes("k") });
  await vi.waitFor(() => expect(watcher.nextRevision).toBe(5));
  first.watches[0]?.fail(grpcStatus.unavailable, "etcdserver: no leader");
  await vi.waitFor(() => expect(second.watches).toHaveLength(1));
  expect(second.watches[0]?.request.startRevision).toBe(5);
  watcher.close();
});

it("moves its place on with progress notices", async () => {
  first.onWatch = (watch) => {
    watch.reply({ created: true, header: header(4) });
    watch.reply({ header: header(20) });
  };
  const watcher = client.watch({ key: keyBytes("k"), progressNotify: true });
  for await (const reply of watcher) {
    expect(reply.header?.revision).toBe(20);
    break;
  }
  expect(watcher.nextRevision).toBe(21);
});

it("does not resume behind an answer that came ahead of events", async () => {
  first.onWatch = (watch) => watch.reply({ created: true, header: header(4) });
  first.onProgressRequest = (watch) => {
    watch.reply({ header: header(9), watchId: -1n });
    watch.fail(grpcStatus.unavailable, "gone");
  };
  second.onWatch = (watch) => {
    watch.reply({ created: true, header: header(9) });
    watch.reply({ header: header(9), events: [eventAt(7)] });
  };
  const watcher = client.watch({ key: keyBytes("k") });
  watcher.requestProgress();
  expect(await take(watcher, 1)).toEqual(["k7"]);
  expect(second.watches[0]?.request.startRevision).toBe(5);
});

it("asks for progress again when the answer did not come", async () => {
  first.onWatch = (watch) => watch.reply({ created: true, header: header(4) });
  second.onWatch = (watch) => watch.reply({ created: true, header: header(9) });
  second.onProgressRequest = (watch) => watch.reply({ header: header(9) });
  const watcher = client.watch({ key: keyBytes("k") });
  watcher.requestProgress();
  await watcher.opened();
  await vi.waitFor(() => expect(first.progressRequests).toBe(1));
  first.stop();
  for await (const reply of watcher) {
    expect(reply.header?.revision).toBe(9);
    break;
  }
  expect(second.progressRequests).toBe(1);
});

it("asks for progress until there is an answer", async () => {
  first.onWatch = (watch) => watch.reply({ created: true, header: header(4) });
  first.onProgressRequest = (watch) => {
    if (first.progressRequests === 3) {
      watch.reply({ header: header(9) });
    }
  };
  const watcher = client.watch({ key: keyBytes("k") });
  watcher.requestProgress();
  for await (const reply of watcher) {
    expect(reply.header?.revision).toBe(9);
    break;
  }
  expect(first.progressRequests).toBe(3);
});

it("puts fragments together, and forgets them in a break", async () => {
  first.onWatch = (watch) => {
    watch.reply({ created: true, header: header(4) });
    watch.reply({ header: header(5), fragment: true, events: [eventAt(5)] });
    watch.fail(grpcStatus.unavailable, "gone");
  };
  second.onWatch = (watch) => {
    watch.reply({ created: true, header: header(5) });
    watch.reply({ header: header(5), fragment: true, events: [eventAt(5), eventAt(5)] });
    watch.reply({ header: header(5), events: [eventAt(5)] });
  };
  const watcher = client.watch({ key: keyBytes("k"), fragment: true });
  expect(await take(watcher, 3)).toEqual(["k5", "k5", "k5"]);
  expect(second.watches[0]?.request.startRevision).toBe(5);
  watcher.close();
});

it("fails with CompactedError when what it needs is gone", async () => {
  first.onWatch = (watch) => {
    watch.reply({ created: true, header: header(9) });
    watch.reply({ canceled: true, compactRevision: 7 });
  };
  const error = await errorOf(client.watch({ key: keyBytes("k"), startRevision: 2 }));
  expect(error).toBeInstanceOf(CompactedError);
  expect((error as CompactedError).compactRevision).toBe(7);
});

it("fails with the server's reason when that refuses it", async () => {
  first.onWatch = (watch) => watch.reply({ created: true, canceled: true, cancelReason: "no" });
  const error = await errorOf(client.watch({ key: keyBytes("k") }));
  expect((error as ClientError).message).toBe("no");
  first.onWatch = (watch) =>
    watch.fail(grpcStatus.permissionDenied, "etcdserver: permission denied");
  const denied = await errorOf(client.watch({ key: keyBytes("k") }));
  expect((denied as ClientError).code).toBe("permissionDenied");
  expect(second.watches).toEqual([]);
});

it("ends without an error when it is closed, aborted or left", async () => {
  const watcher = client.watch({ key: keyBytes("k") });
  setImmediate(() => watcher.close());
  expect(await errorOf(watcher)).toBeUndefined();
  const controller = new AbortController();
  const aborted = client.watch({ key: keyBytes("k") }, { signal: controller.signal });
  setImmediate(() => controller.abort());
  expect(await errorOf(aborted)).toBeUndefined();
});
