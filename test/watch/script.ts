// Runs a golden script on the hub. Under each command stands, indented, what the sinks heard; the
// whole file, rendered anew, must equal the file.
//
//   watch STREAM KEY [end=KEY] [id=N] [rev=N] [prev] [noput] [nodelete] [progress]
//   cancel STREAM ID | progress STREAM | full STREAM | resume STREAM | close STREAM
//   put KEY VALUE | del KEY [END] | txn put K V, del K ...      commits and publishes
//   cold REVISION...             reading these throws until they are loaded
//   catch-up [EVENTS]            one step; says what is missing, or whether more is left
//   load REVISION... | compact REVISION | tick MS
//   away COMMAND                 a change on another member, in the state to be installed
//   install                      that state replaces this one
// "\0" in a key or end stands for a zero byte; KEY* as end is the end of that prefix.

import { SeededRng, utf8 } from "../../src/base/index.ts";
import type { Revision } from "../../src/base/index.ts";
import { MissingRecords } from "../../src/mvcc/contract.ts";
import type { WatchEvent, WatchNotice, WatchStream } from "../../src/mvcc/watch-contract.ts";
import { WatchHub } from "../../src/mvcc/watch-hub.ts";
import { KeyValue } from "../../src/wire/index.ts";
import { bytesToText, FakeStore } from "./fake-store.ts";
import type { Change } from "./fake-store.ts";

interface TestSink {
  writable: boolean;
  notify(notice: WatchNotice): void;
}

export function runScript(text: string): string {
  const run = new ScriptRun();
  const rendered: string[] = [];
  for (const line of text.trimEnd().split("\n")) {
    if (line.startsWith("  ")) {
      continue;
    }
    rendered.push(line);
    if (line !== "" && !line.startsWith("#")) {
      run.output.length = 0;
      run.command(line);
      rendered.push(...run.output.map((heard) => `  ${heard}`));
    }
  }
  return `${rendered.join("\n")}\n`;
}

function newHub(store: FakeStore): WatchHub {
  return new WatchHub(store, { rng: new SeededRng(1), progressIntervalMs: 1000 });
}

class ScriptRun {
  readonly output: string[] = [];
  #store = new FakeStore();
  #away: FakeStore | undefined;
  #hub = newHub(this.#store);
  readonly #streams = new Map<string, { stream: WatchStream; sink: TestSink }>();

  command(line: string): void {
    const [verb = "", ...words] = line.split(/\s+/);
    const first = words[0] ?? "";
    switch (verb) {
      case "watch":
        this.#watch(words);
        break;
      case "cancel":
        this.#stream(first).stream.cancel(BigInt(words[1] ?? "0"));
        break;
      case "progress":
        this.#stream(first).stream.requestProgress();
        break;
      case "full":
        this.#stream(first).sink.writable = false;
        break;
      case "resume":
        this.#stream(first).sink.writable = true;
        this.#stream(first).stream.resume();
        break;
      case "close":
        this.#stream(first).stream.close();
        break;
      case "catch-up":
        this.#catchUp(Number(first === "" ? "1000" : first));
        break;
      case "tick":
        this.#hub.progress(Number(first));
        break;
      case "install":
        this.#install();
        break;
      case "away":
        this.#away ??= this.#store.copy();
        change(this.#away, words);
        break;
      default: {
        const commit = change(this.#store, [verb, ...words]);
        if (commit !== undefined) {
          this.#hub.publish(commit);
        }
      }
    }
  }

  constructor() {
    this.#hub.onCatchUp(() => this.output.push("(catch-up wanted)"));
  }

  #stream(name: string): { stream: WatchStream; sink: TestSink } {
    let found = this.#streams.get(name);
    if (found === undefined) {
      const sink: TestSink = {
        writable: true,
        notify: (notice) => this.output.push(`${name}${describeNotice(notice)}`),
      };
      found = { stream: this.#hub.openStream(sink), sink };
      this.#streams.set(name, found);
    }
    return found;
  }

  #watch(words: readonly string[]): void {
    const [name = "", key = "", ...rest] = words;
    const option = (prefix: string): string | undefined =>
      rest.find((word) => word.startsWith(prefix))?.slice(prefix.length);
    this.#stream(name).stream.create({
      key: toKey(key),
      rangeEnd: toEnd(option("end=") ?? ""),
      watchId: BigInt(option("id=") ?? "0"),
      startRevision: Number(option("rev=") ?? "0") as Revision,
      previous: rest.includes("prev"),
      progressNotify: rest.includes("progress"),
      noPut: rest.includes("noput"),
      noDelete: rest.includes("nodelete"),
      fragment: false,
    });
  }

  #catchUp(eventsMax: number): void {
    try {
      this.output.push(this.#hub.catchUp(eventsMax) ? "(more)" : "(all caught up)");
    } catch (error) {
      if (!(error instanceof MissingRecords)) {
        throw error;
      }
      this.output.push(`(missing ${error.keys.map(bytesToText).join(" ")})`);
    }
  }

  #install(): void {
    this.#store = this.#away ?? this.#store.copy();
    this.#away = undefined;
    const hub = newHub(this.#store);
    hub.adopt(this.#hub);
    this.#hub = hub;
  }
}

function change(store: FakeStore, words: readonly string[]): ReturnType<FakeStore["commit"]> {
  const [verb = "", ...rest] = words;
  switch (verb) {
    case "cold":
      store.chill(...rest.map(Number));
      return undefined;
    case "load":
      store.load(rest.map(utf8));
      return undefined;
    case "compact":
      store.compact(Number(rest[0]));
      return undefined;
    case "txn":
      return store.commit(
        rest
          .join(" ")
          .split(",")
          .map((part) => toChange(part.trim().split(" "))),
      );
    default:
      return store.commit([toChange(words)]);
  }
}

function toChange(words: readonly string[]): Change {
  const [verb, key = "", other = ""] = words;
  if (verb === "put") {
    return { kind: "put", key, value: other };
  }
  if (verb === "del") {
    return { kind: "delete", key, rangeEnd: bytesToText(toEnd(other)) };
  }
  throw new Error(`unknown command: ${words.join(" ")}`);
}

function toKey(word: string): Uint8Array {
  return utf8(word.replaceAll("\\0", "\0"));
}

function toEnd(word: string): Uint8Array {
  const end = toKey(word.replace(/\*$/, ""));
  if (word.endsWith("*")) {
    const last = end.length - 1;
    end[last] = (end[last] as number) + 1;
  }
  return end;
}

function describeNotice(notice: WatchNotice): string {
  switch (notice.kind) {
    case "created":
    case "canceled":
    case "progress":
      return `#${notice.watchId} ${notice.kind} at=${notice.revision}`;
    case "refused":
      return `#-1 refused at=${notice.revision}: ${notice.reason}`;
    case "compacted":
      return `#${notice.watchId} compacted=${notice.compactedRevision}`;
    case "events":
      return [`#${notice.watchId} at=${notice.revision}`, ...notice.events.map(describeEvent)].join(
        " ",
      );
  }
}

export function describeEvent({ event, previous }: WatchEvent): string {
  const before =
    previous === undefined ? "" : `(was ${bytesToText(KeyValue.decode(previous.message).value)})`;
  const sign = event.kind === "delete" ? "-" : event.created ? "+" : "=";
  return `${event.revision}.${event.sub}${sign}${bytesToText(event.key)}${before}`;
}
