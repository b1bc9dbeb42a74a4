// The Watch service on a real hub: what a client gets on the wire, message by message.

import { describe, expect, it } from "vitest";
import { ApiContext } from "../../src/api/context.ts";
import { watchService } from "../../src/api/watch.ts";
import { concatBytes, SeededRng, silentLogger, utf8 } from "../../src/base/index.ts";
import { MetricsRegistry } from "../../src/base/index.ts";
import type { Clock, MemberId, ClusterId, Term } from "../../src/base/index.ts";
import type { ReplyBytes, RpcError, StreamCall } from "../../src/grpc/index.ts";
import { AuthStore } from "../../src/auth/index.ts";
import { WatchHub } from "../../src/mvcc/watch-hub.ts";
import type { NodeHandle } from "../../src/node/handle.ts";
import { WatchCreateRequest, WatchRequest, WatchResponse } from "../../src/wire/index.ts";
import { bytesToText, FakeStore } from "./fake-store.ts";
import type { Change } from "./fake-store.ts";

const requestBytesMax = 1000;
/** requestBytesMax and etcd's overhead of 512 KiB. */
const fragmentBytes = 1000 + 512 * 1024;

class FakeCall implements StreamCall {
  readonly path = "/etcdserverpb.Watch/Watch";
  readonly peer = { address: "test", certificateCommonName: undefined };
  readonly deadlineMs = undefined;
  cancelled = false;
  readonly sent: Uint8Array[][] = [];
  ended: RpcError | "ok" | undefined;
  paused = false;
  congested = false;
  queuedBytes = 0;
  #onMessage: (message: Uint8Array) => void = () => {};
  #onDrain: () => void = () => {};
  #onCancel: () => void = () => {};

  metadata(): undefined {
    return undefined;
  }
  onCancel(callback: () => void): void {
    this.#onCancel = callback;
  }
  onMessage(callback: (message: Uint8Array) => void): void {
    this.#onMessage = callback;
  }
  onHalfClose(): void {}
  onDrain(callback: () => void): void {
    this.#onDrain = callback;
  }
  write(message: ReplyBytes): boolean {
    this.sent.push(message instanceof Uint8Array ? [message] : [...message]);
    return !this.congested;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  end(error?: RpcError): void {
    this.ended ??= error ?? "ok";
  }

  receive(bytes: Uint8Array): void {
    this.#onMessage(bytes);
  }
  create(partial: Partial<WatchCreateRequest>): void {
    const value = WatchCreateRequest.create(partial);
    this.receive(WatchRequest.encode({ requestUnion: { kind: "createRequest", value } }));
  }
  cancelWatch(watchId: bigint): void {
    this.receive(
      WatchRequest.encode({ requestUnion: { kind: "cancelRequest", value: { watchId } } }),
    );
  }
  requestProgress(): void {
    this.receive(WatchRequest.encode({ requestUnion: { kind: "progressRequest", value: {} } }));
  }
  drain(): void {
    this.congested = false;
    this.queuedBytes = 0;
    this.#onDrain();
  }
  leave(): void {
    this.cancelled = true;
    this.#onCancel();
  }
  /** Responses since the last call, decoded. */
  taken(): WatchResponse[] {
    return this.sent.splice(0).map((parts) => WatchResponse.decode(concatBytes(parts)));
  }
}

function setUp() {
  const store = new FakeStore();
  const hub = new WatchHub(store, { rng: new SeededRng(1), progressIntervalMs: 1000 });
  const handle = {
    status: () => ({
      clusterId: 0xabcn as ClusterId,
      memberId: 0xdefn as MemberId,
      term: 7 as Term,
      revision: store.revision,
    }),
    openWatchStream: (sink: Parameters<NodeHandle["openWatchStream"]>[0]) => hub.openStream(sink),
    auth: new AuthStore(),
  } as unknown as NodeHandle;
  const api = new ApiContext({
    handle,
    clock: {} as Clock,
    rng: new SeededRng(2),
    logger: silentLogger,
    metrics: new MetricsRegistry(),
    etcdVersion: "3.6.0",
    storageVersion: "3.6.0",
    requestBytesMax,
    txnOpsMax: 128,
    electionTimeoutMs: 1000,
  });
  const service = watchService(api);
  const open = (): FakeCall => {
    const call = new FakeCall();
    const method = service.methods["Watch"];
    expect(method?.kind).toBe("stream");
    if (method?.kind === "stream") {
      method.handle(call);
    }
    return call;
  };
  const commit = (...changes: Change[]): void => {
    const made = store.commit(changes);
    if (made !== undefined) {
      hub.publish(made);
    }
  };
  const put = (key: string, value: string): void => commit({ kind: "put", key, value });
  return { store, hub, open, commit, put };
}

const header = (revision: number) => ({
  clusterId: 0xabcn,
  memberId: 0xdefn,
  revision,
  raftTerm: 7,
});

function response(partial: Partial<WatchResponse>): WatchResponse {
  return WatchResponse.create(partial);
}

function keysOf(responses: readonly WatchResponse[]): string[][] {
  return responses.map(({ events }) => events.map(({ kv }) => bytesToText(kv?.key ?? utf8("?"))));
}

describe("watch service", () => {
  it("answers creation, events and cancel in etcd's shapes", () => {
    const { open, put } = setUp();
    const call = open();
    call.create({ key: utf8("k"), prevKv: true });
    put("k", "1");
    put("k", "2");
    call.cancelWatch(0n);
    call.cancelWatch(0n);
    const [created, first, second, canceled, ...rest] = call.taken();
    expect(created).toEqual(response({ header: header(1), created: true }));
    expect(first?.header).toEqual(header(2));
    expect(first?.events.map(({ prevKv }) => prevKv)).toEqual([undefined]);
    expect(second?.events[0]?.kv?.version).toBe(2);
    expect(bytesToText(second?.events[0]?.prevKv?.value ?? utf8("?"))).toBe("1");
    expect(canceled).toEqual(response({ header: header(3), canceled: true }));
    expect(rest).toEqual([]);
  });

  it("refuses with watch id -1 and etcd's reasons", () => {
    const { open } = setUp();
    const call = open();
    call.create({ key: utf8("k"), watchId: 5n });
    call.create({ key: utf8("k"), watchId: 5n });
    call.create({ key: utf8("k"), rangeEnd: utf8("k") });
    call.create({ key: utf8("k"), startRevision: -1 });
    const [, ...refused] = call.taken();
    const refusal = (cancelReason: string): WatchResponse =>
      response({ header: header(1), watchId: -1n, created: true, canceled: true, cancelReason });
    expect(refused).toEqual([
      refusal("mvcc: duplicate watch ID provided on the WatchStream"),
      refusal("mvcc: watcher range is empty"),
      refusal("etcdserver: mvcc: required revision has been compacted"),
    ]);
  });

  it("tells of compaction in a second response without a revision", () => {
    const { open, put, store } = setUp();
    put("k", "1");
    put("k", "2");
    put("k", "3");
    store.compact(3);
    const call = open();
    call.create({ key: utf8("k"), startRevision: 2, watchId: 9n });
    expect(call.taken()).toEqual([
      response({ header: header(4), watchId: 9n, created: true }),
      response({ header: header(0), watchId: 9n, canceled: true, compactRevision: 3 }),
    ]);
  });

  it("answers a progress request for the stream with id -1", () => {
    const { open, put } = setUp();
    const call = open();
    call.requestProgress();
    call.create({ key: utf8("k") });
    put("j", "1");
    call.requestProgress();
    expect(call.taken()).toEqual([
      response({ header: header(1), created: true }),
      response({ header: header(2), watchId: -1n }),
    ]);
  });

  it("takes an empty key for the smallest, and filters", () => {
    const { open, put, commit } = setUp();
    const call = open();
    call.create({ rangeEnd: new Uint8Array(1), filters: [0] });
    call.create({ rangeEnd: new Uint8Array(1), filters: [1, 7] });
    call.taken();
    put("a", "1");
    commit({ kind: "delete", key: "a", rangeEnd: "" });
    expect(call.taken().map(({ watchId, events }) => [watchId, events[0]?.type])).toEqual([
      [1n, 0],
      [0n, 1],
    ]);
  });

  it("shares one encoded body among all watches of all streams", () => {
    const { open, put } = setUp();
    const calls = [open(), open()];
    for (const call of calls) {
      call.create({ key: utf8("k") });
      call.create({ key: utf8("k") });
      call.sent.length = 0;
    }
    put("k", "x".repeat(100));
    const sent = calls.flatMap((call) => call.sent);
    expect(sent.length).toBe(4);
    expect(new Set(sent.map((parts) => parts[0])).size).toBe(1);
    expect(new Set(sent.map((parts) => parts.at(-1))).size).toBe(1);
  });

  it("fragments at the limit, only when asked", () => {
    const { open, commit } = setUp();
    const call = open();
    call.create({ key: utf8("k"), rangeEnd: utf8("l") });
    call.create({ key: utf8("k"), rangeEnd: utf8("l"), fragment: true });
    call.taken();
    const value = "v".repeat(150_000);
    commit(...Array.from({ length: 8 }, (_, i): Change => ({ kind: "put", key: `k${i}`, value })), {
      kind: "put",
      key: "kbig",
      value: value.repeat(5),
    });
    const sizes = call.sent.map((parts) => concatBytes(parts).length);
    const [whole, ...pieces] = call.taken();
    expect(whole?.events.length).toBe(9);
    expect(whole?.fragment).toBe(false);
    expect(pieces.map(({ events, fragment }) => [events.length, fragment])).toEqual([
      [3, true],
      [3, true],
      [2, true],
      [1, false],
    ]);
    expect(keysOf(pieces).flat()).toEqual(keysOf(whole === undefined ? [] : [whole]).flat());
    expect(pieces.map(({ watchId }) => watchId)).toEqual([1n, 1n, 1n, 1n]);
    expect(Math.max(...sizes.slice(1, 4))).toBeLessThan(fragmentBytes);
  });

  it("does not fragment what fits, nor a single event", () => {
    const { open, put } = setUp();
    const call = open();
    call.create({ key: utf8("k"), fragment: true });
    call.taken();
    put("k", "small");
    put("k", "v".repeat(fragmentBytes));
    expect(call.taken().map(({ fragment, events }) => [fragment, events.length])).toEqual([
      [false, 1],
      [false, 1],
    ]);
  });

  it("holds events back when the connection does not take them, and loses none", () => {
    const { open, put, hub } = setUp();
    const call = open();
    call.create({ key: utf8("k") });
    call.taken();
    call.congested = true;
    for (let i = 0; i < 300; i++) {
      put("k", String(i));
    }
    expect(call.sent.length).toBe(128);
    expect(call.paused).toBe(true);
    // Control responses are written all the same.
    call.create({ key: utf8("j") });
    expect(call.sent.length).toBe(129);
    call.drain();
    expect(call.paused).toBe(false);
    while (hub.hasCatchUp) {
      hub.catchUp();
    }
    const responses = call.taken().filter(({ watchId }) => watchId === 0n);
    const revisions = responses.flatMap(({ events }) => events.map(({ kv }) => kv?.modRevision));
    expect(revisions).toEqual(Array.from({ length: 300 }, (_, i) => i + 2));
  });

  it("holds back by bytes as well", () => {
    const { open, put } = setUp();
    const call = open();
    call.create({ key: utf8("k") });
    call.taken();
    call.congested = true;
    call.queuedBytes = 5 * 1024 * 1024;
    put("k", "1");
    put("k", "2");
    expect(call.sent.length).toBe(1);
  });

  it("ends with INTERNAL on bytes that do not parse, and hears no more", () => {
    const { open, put, hub } = setUp();
    const call = open();
    call.create({ key: utf8("k") });
    call.receive(new Uint8Array([0x0a, 0x7f]));
    expect(call.ended).toMatchObject({ status: 13 });
    expect(hub.stats()).toMatchObject({ streams: 0, watchers: 0 });
    call.taken();
    put("k", "1");
    expect(call.sent).toEqual([]);
  });

  it("passes over an empty request", () => {
    const { open } = setUp();
    const call = open();
    call.receive(new Uint8Array(0));
    expect([call.ended, call.sent]).toEqual([undefined, []]);
  });

  it("forgets everything when the client leaves", () => {
    const { open, put, hub } = setUp();
    const call = open();
    call.create({ key: utf8("k") });
    call.create({ key: utf8("k"), startRevision: 1 });
    call.taken();
    call.leave();
    put("k", "1");
    expect(hub.hasCatchUp).toBe(false);
    expect(hub.stats()).toMatchObject({ streams: 0, watchers: 0, slowWatchers: 0 });
    expect(call.sent).toEqual([]);
    expect(call.ended).toBeUndefined();
  });
});
