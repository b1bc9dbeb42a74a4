// Runs a golden script on the store. Under each command stands, indented, what it gave; the whole
// file, rendered anew, must equal the file.
//
//   put KEY VALUE [lease=N] | del KEY [END]      one transaction each
//   txn COMMAND, COMMAND...                      put, del, range and fail in one transaction
//   range KEY [END] [rev=N] [limit=N] [keys] [count] [sort=TARGET:ORDER]
//         [minmod=N] [maxmod=N] [mincreate=N] [maxcreate=N]
//   meta KEY | at REVISION SUB | leases N | events FROM TO [MAX] | hash [REVISION]
//   compact REVISION | step [N]                  moves the point; background steps
//   checkpoint                                   taken and written: what it wrote
//   take | write                                 the same in two halves
//   settle                                       steps and checkpoints until nothing is left
//   stored                                       events in the engine's blocks
//   crash                                        opens again from what was written
//   cold                                         evicts all that is clean
//   config NAME=N...                             of the store that is opened next (first line)
// END is a key, KEY* for the end of that prefix, or \0 for every key from KEY on. A command that
// had to load records says which, in the order of asking.

import { utf8 } from "../../src/base/index.ts";
import type { LeaseId, Revision } from "../../src/base/index.ts";
import type {
  KeyRange,
  RangeQuery,
  Store,
  StoreReader,
  WriteTransaction,
} from "../../src/mvcc/contract.ts";
import { HistoryBlock } from "../../src/mvcc/history-block.ts";
import {
  groupRange,
  MissingRecords,
  Recovery,
  storeConfigDefault,
  storeMetaKey,
} from "../../src/mvcc/index.ts";
import type { StoreConfig } from "../../src/mvcc/index.ts";
import { describeRecord } from "../../src/mvcc/record-keys.ts";
import type { BatchOperation } from "../../src/storage/engine.ts";
import { KeyValue } from "../../src/wire/index.ts";
import { FakeEngine } from "./fake-engine.ts";

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

const noBytes = new Uint8Array(0);

class Failed extends Error {}

class ScriptRun {
  readonly output: string[] = [];
  readonly #engine = new FakeEngine();
  #config: StoreConfig = storeConfigDefault;
  #store: Store | undefined;
  #taken: readonly BatchOperation[] = [];

  command(line: string): void {
    const [verb = "", ...words] = line.split(/\s+/);
    switch (verb) {
      case "config":
        for (const word of words) {
          const [name = "", value = ""] = word.split("=");
          this.#config = { ...this.#config, [name]: Number(value) };
        }
        return;
      case "put":
      case "del":
      case "txn":
        this.#transact(verb === "txn" ? line.slice(4).split(/,\s*/) : [line]);
        return;
      case "compact":
        this.#opened.compact(Number(words[0]) as Revision);
        return;
      case "step":
        this.#step(Number(words[0] ?? 1));
        return;
      case "checkpoint":
        this.#take();
        this.#write();
        return;
      case "take":
        this.#take();
        return;
      case "write":
        this.#write();
        return;
      case "settle":
        this.#settle();
        return;
      case "stored":
        this.#stored();
        return;
      case "crash":
        this.#engine.crash(this.#engine.losable);
        this.#store = undefined;
        this.#say(`revision ${this.#opened.revision} compacted ${this.#opened.compactedRevision}`);
        return;
      case "cold":
        this.#cool();
        return;
      default:
        this.#attempt(() => this.#read(this.#opened, line)).forEach((said) => this.#say(said));
    }
  }

  get #opened(): Store {
    this.#store ??= this.#open(this.#config);
    return this.#store;
  }

  #say(text: string): void {
    this.output.push(text);
  }

  #open(config: StoreConfig): Store {
    const recovery = new Recovery(config, this.#engine.get(storeMetaKey));
    recovery.addGroups(this.#engine.scan(groupRange.from, groupRange.to));
    const { from, to } = recovery.redoRange();
    recovery.addBlocks(this.#engine.scan(from, to));
    this.#attempt(() => recovery.step(), recovery);
    return this.#attempt(() => recovery.finish(), recovery);
  }

  #attempt<T>(work: () => T, into: Pick<Store, "load"> = this.#opened): T {
    for (;;) {
      try {
        return work();
      } catch (error) {
        if (!(error instanceof MissingRecords)) {
          throw error;
        }
        this.#say(`loads ${error.keys.map(describeRecord).join(", ")}`);
        into.load(error.keys.map((key) => ({ key, value: this.#engine.get(key) })));
      }
    }
  }

  #transact(commands: readonly string[]): void {
    let said: string[] = [];
    const body = (txn: WriteTransaction): void => {
      said = commands.flatMap((command) => this.#inTxn(txn, command));
    };
    try {
      const { commit } = this.#attempt(() => this.#opened.transact(body));
      said.forEach((text) => this.#say(text));
      this.#say(commit === undefined ? "no change" : `revision ${commit.revision}`);
      for (const event of commit?.events ?? []) {
        this.#say(renderEvent(event));
      }
    } catch (error) {
      if (!(error instanceof Failed)) {
        throw error;
      }
      this.#say(`failed at revision ${this.#opened.revision}`);
    }
  }

  #inTxn(txn: WriteTransaction, command: string): string[] {
    const [verb = "", first = "", second = "", ...rest] = command.split(/\s+/);
    if (verb === "put") {
      const lease = BigInt(option([...rest], "lease") ?? 0) as LeaseId;
      const replaced = txn.put(utf8(first), utf8(second), lease);
      return replaced === undefined
        ? []
        : [`replaced mod=${replaced.modRevision} version=${replaced.version}`];
    }
    if (verb === "del") {
      const { deleted, previous } = txn.deleteRange(toRange(first, second), true);
      return [`deleted ${deleted}`, ...previous.map((pair) => `  ${renderPair(pair.message)}`)];
    }
    if (verb === "fail") {
      throw new Failed();
    }
    return this.#read(txn, command);
  }

  #read(reader: StoreReader, line: string): string[] {
    const [verb = "", first = "", second = "", third = ""] = line.split(/\s+/);
    switch (verb) {
      case "range": {
        const result = reader.range(toQuery(line.split(/\s+/).slice(1)));
        return [
          `count=${result.count}${result.more ? " more" : ""}`,
          ...result.kvs.map((pair) => renderPair(pair.message)),
        ];
      }
      case "meta": {
        const meta = reader.meta(utf8(first));
        return [
          meta === undefined
            ? "none"
            : `create=${meta.createRevision} mod=${meta.modRevision} ` +
              `version=${meta.version} lease=${meta.lease}`,
        ];
      }
      case "at": {
        const pair = reader.at(Number(first) as Revision, Number(second));
        return [pair === undefined ? "none" : renderPair(pair.message)];
      }
      case "leases":
        return [
          reader
            .leaseKeys(BigInt(first) as LeaseId)
            .map(toText)
            .join(" ") || "none",
        ];
      case "events": {
        const max = third === "" ? 1000 : Number(third);
        const commits = reader.events(Number(first) as Revision, Number(second) as Revision, max);
        return commits.flatMap(({ events }) => events.map(renderEvent));
      }
      case "hash": {
        const at = first === "" ? reader.revision : (Number(first) as Revision);
        const walk = this.#opened.beginHash(at);
        while (walk.step()) {
          // On to the end.
        }
        return [`${walk.hash} compacted=${walk.compactedRevision}`];
      }
      default:
        throw new Error(`unknown command: ${line}`);
    }
  }

  #step(count: number): void {
    for (let i = 0; i < count; i++) {
      const more = this.#attempt(() => this.#opened.compactStep());
      if (!more) {
        this.#say(this.#opened.compactionPending ? "waits for a checkpoint" : "nothing left");
        return;
      }
    }
    this.#say("more");
  }

  #take(): void {
    this.#taken = this.#opened.checkpoint().operations;
  }

  #write(): void {
    this.#engine.write(this.#taken, 0, true);
    this.#opened.checkpointDone();
    for (const { kind, key } of this.#taken) {
      const what = key[0] === storeMetaKey[0] ? "meta" : describeRecord(key);
      this.#say(`${kind === "put" ? "writes" : "deletes"} ${what}`);
    }
  }

  #settle(): void {
    while (this.#opened.compactionPending || this.#opened.pendingBytes > 0) {
      while (this.#attempt(() => this.#opened.compactStep())) {
        // On to the end.
      }
      this.#engine.write(this.#opened.checkpoint().operations, 0, true);
      this.#opened.checkpointDone();
    }
  }

  #stored(): void {
    for (const [key, value] of this.#engine.scan(Uint8Array.of(0x68), Uint8Array.of(0x69))) {
      const block = HistoryBlock.parse(value, "block");
      const events = Array.from(
        { length: block.count },
        (_, i) => `${block.revisionAt(i)}.${block.subAt(i)}${block.isDeleteAt(i) ? "t" : ""}`,
      );
      this.#say(`${describeRecord(key)}: ${events.join(" ")}`);
    }
  }

  /** Trims a store that has no budget, twice, since what was touched is passed over once. */
  #cool(): void {
    this.#opened.trim();
    this.#opened.trim();
  }
}

function option(words: readonly string[], name: string): string | undefined {
  return words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
}

function toRange(key: string, end: string): KeyRange {
  if (end === "\\0") {
    return { key: key === "\\0" ? Uint8Array.of(0) : utf8(key), rangeEnd: Uint8Array.of(0) };
  }
  if (end.endsWith("*")) {
    const bytes = utf8(end.slice(0, -1));
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) + 1;
    return { key: utf8(key), rangeEnd: bytes };
  }
  return { key: utf8(key), rangeEnd: end === "" ? noBytes : utf8(end) };
}

function toQuery(words: readonly string[]): RangeQuery {
  const [key = "", ...rest] = words;
  const flags = ["keys", "count"];
  const end =
    rest[0] === undefined || rest[0].includes("=") || flags.includes(rest[0]) ? "" : rest[0];
  const [target = "key", order = "none"] = (option(rest, "sort") ?? "").split(":").filter(Boolean);
  const number = (name: string): number => Number(option(rest, name) ?? 0);
  return {
    ...toRange(key, end),
    revision: number("rev") as Revision,
    limit: number("limit"),
    keysOnly: rest.includes("keys"),
    countOnly: rest.includes("count"),
    sortTarget: target as RangeQuery["sortTarget"],
    sortOrder: order as RangeQuery["sortOrder"],
    minModRevision: number("minmod"),
    maxModRevision: number("maxmod"),
    minCreateRevision: number("mincreate"),
    maxCreateRevision: number("maxcreate"),
  };
}

function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("utf8");
}

function renderPair(message: Uint8Array): string {
  const pair = KeyValue.decode(message);
  const lease = pair.lease === 0n ? "" : ` lease=${pair.lease}`;
  return (
    `${toText(pair.key)}=${toText(pair.value)} create=${pair.createRevision} ` +
    `mod=${pair.modRevision} version=${pair.version}${lease}`
  );
}

function renderEvent(event: {
  readonly kind: string;
  readonly key: Uint8Array;
  readonly revision: number;
  readonly sub: number;
  readonly created: boolean;
  readonly previousRevision: number;
  readonly previousSub: number;
}): string {
  const previous =
    event.previousRevision === 0 ? "" : ` over ${event.previousRevision}.${event.previousSub}`;
  const created = event.created ? " created" : "";
  return `${event.revision}.${event.sub} ${event.kind} ${toText(event.key)}${created}${previous}`;
}
