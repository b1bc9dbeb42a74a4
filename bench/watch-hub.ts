// What publishing a commit costs in the watch hub, alone, without store or network: with nobody
// watching, with many watches of one key, with many watches of other keys and ranges, and how
// fast watches catch up with history. Run: npx tsx bench/watch-hub.ts

import { SeededRng, noLease, utf8 } from "../src/base/index.ts";
import type { Revision } from "../src/base/index.ts";
import type { Commit, StoreReader } from "../src/mvcc/contract.ts";
import type { WatchNotice, WatchOptions } from "../src/mvcc/watch-contract.ts";
import { WatchHub } from "../src/mvcc/watch-hub.ts";

const message = new Uint8Array(300);

function commitOf(revision: number, key: Uint8Array): Commit {
  const event = {
    kind: "put" as const,
    key,
    revision: revision as Revision,
    created: false,
    previousRevision: 0 as const,
    sub: 0,
    previousSub: 0,
    lease: noLease,
    previousLease: noLease,
    message,
  };
  return { revision: revision as Revision, events: [event] };
}

class Heard {
  readonly writable = true;
  events = 0;

  notify(notice: WatchNotice): void {
    if (notice.kind === "events") {
      this.events += notice.events.length;
    }
  }
}

function options(key: string, rangeEnd = "", startRevision = 0): WatchOptions {
  return {
    key: utf8(key),
    rangeEnd: utf8(rangeEnd),
    watchId: 0n,
    startRevision: startRevision as Revision,
    previous: false,
    progressNotify: false,
    noPut: false,
    noDelete: false,
    fragment: false,
  };
}

function measure(name: string, watches: readonly WatchOptions[], commits: number): void {
  const key = utf8("/registry/pods/default/web-1");
  const store = { revision: 1, compactedRevision: 0 } as unknown as StoreReader;
  const hub = new WatchHub(store, { rng: new SeededRng(1), progressIntervalMs: 600_000 });
  const sink = new Heard();
  const stream = hub.openStream(sink);
  for (const watch of watches) {
    stream.create(watch);
  }
  let revision = 1;
  const run = (count: number): number => {
    const all = Array.from({ length: count }, () => commitOf(++revision, key));
    const startedMs = performance.now();
    for (const commit of all) {
      hub.publish(commit);
    }
    return performance.now() - startedMs;
  };
  run(Math.ceil(commits / 4));
  sink.events = 0;
  report(name, commits, run(commits), sink.events);
}

function measureCatchUp(name: string, watches: number): void {
  const key = utf8("/registry/pods/default/web-1");
  const commits = Array.from({ length: 20_000 }, (_, i) => commitOf(i + 2, key));
  const store = {
    revision: commits.length + 1,
    compactedRevision: 0,
    events: (from: number, to: number, eventsMax: number) =>
      commits.slice(from - 2, Math.min(to - 1, from - 2 + eventsMax)),
  } as unknown as StoreReader;
  const hub = new WatchHub(store, { rng: new SeededRng(1), progressIntervalMs: 600_000 });
  const sink = new Heard();
  const stream = hub.openStream(sink);
  for (let i = 0; i < watches; i++) {
    stream.create(options("/registry/", "/registry0", 2));
  }
  const startedMs = performance.now();
  let longestMs = 0;
  for (let more = true; more; ) {
    const stepStartedMs = performance.now();
    more = hub.catchUp();
    longestMs = Math.max(longestMs, performance.now() - stepStartedMs);
  }
  report(name, commits.length, performance.now() - startedMs, sink.events);
  console.log(`${"".padEnd(44)} longest step ${longestMs.toFixed(1)} ms`);
}

function report(name: string, commits: number, elapsedMs: number, events: number): void {
  const perCommitNs = Math.round((elapsedMs * 1e6) / commits);
  const perSecond = events === 0 ? "-" : `${(events / elapsedMs / 1000).toFixed(1)} M events/s`;
  console.log(`${name.padEnd(44)} ${String(perCommitNs).padStart(8)} ns a commit  ${perSecond}`);
}

const one = options("/registry/pods/default/web-1");
const other = (i: number): WatchOptions => options(`/registry/pods/default/other-${i}`);
const prefix = (i: number): WatchOptions => options(`/tenants/${i}/`, `/tenants/${i}0`);
const many = (count: number, make: (i: number) => WatchOptions): WatchOptions[] =>
  Array.from({ length: count }, (_, i) => make(i));

measure("no watch", [], 1_000_000);
measure("1 watch of the key", [one], 300_000);
measure(
  "1,000 watches of the key",
  many(1000, () => one),
  3_000,
);
measure("100,000 watches of other keys", many(100_000, other), 300_000);
measure("100,000 watches of other prefixes", many(100_000, prefix), 300_000);
measureCatchUp("catch up, 1 watch", 1);
measureCatchUp("catch up, 1,000 watches of a range", 1000);
