// Runs a golden script on an applier. Under each command stands, indented, what came of it; the
// whole file, rendered anew, must equal the file.
//
//   put K V [lease=N] [prev] [ignore-value] [ignore-lease]
//   del K [END] [prev]
//   get K [END] [rev=N] [limit=N] [count] [keys]        a read-only txn of one range
//   txn                                                 the lines that follow, up to "end":
//     if TARGET K OP VALUE [END]                          TARGET: version create mod value lease
//     then OPERATION / else OPERATION                     OPERATION: put, del, get, or "txn" (its
//     end                                                 own lines follow, up to its "end")
//   compact N
//   grant ID TTL | revoke ID | expire TERM ID... | checkpoint TERM ID=SECONDS...
//   alarm on|off space|corrupt MEMBER | publish MEMBER NAME URL
//   term N            entries from here on are of this term
//   cold K...         these keys must be loaded before they can be touched
//   leases | state    what there is
// Values of "-" are empty. "*" as END is every key from K on; K* is the end of that prefix.

import {
  bytesToHex,
  fromUtf8,
  toClusterId,
  toLogIndex,
  toMemberId,
  toTerm,
  utf8,
} from "../../src/base/index.ts";
import { Alarms, Applier, readTxn } from "../../src/apply/index.ts";
import { AuthStore } from "../../src/auth/index.ts";
import type { CommandKind, CommandResult, TxnOpResult } from "../../src/apply/index.ts";
import { Lessor } from "../../src/lease/index.ts";
import { Membership } from "../../src/membership/index.ts";
import { MissingRecords } from "../../src/mvcc/contract.ts";
import type { StoredKeyValue } from "../../src/mvcc/contract.ts";
import {
  AlarmRequest,
  AlarmRequestAlarmAction,
  AlarmType,
  CompactionRequest,
  CompareResult,
  CompareTarget,
  DeleteRangeRequest,
  encodeCommand,
  KeyValue,
  LeaseCheckpoints,
  LeaseExpiry,
  LeaseGrantRequest,
  LeaseRevokeRequest,
  MemberAttributes,
  PutRequest,
  RangeRequest,
  TxnRequest,
} from "../../src/wire/index.ts";
import type { Compare, RequestOp } from "../../src/wire/index.ts";
import { ModelStore } from "./model-store.ts";

export function runScript(text: string): string {
  const run = new ScriptRun();
  const source = text.split("\n").filter((line) => !line.startsWith("  > "));
  const rendered: string[] = [];
  const lines = source.join("\n").trimEnd().split("\n");
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] ?? "";
    rendered.push(line);
    if (line === "" || line.startsWith("#")) {
      continue;
    }
    const block: string[] = [];
    if (line === "txn") {
      for (let depth = 1; depth > 0; ) {
        const inner = lines[++i] ?? "end";
        rendered.push(inner);
        block.push(inner.trim());
        depth += inner.endsWith(" txn") ? 1 : inner.trim() === "end" ? -1 : 0;
      }
    }
    rendered.push(...run.command(line, block).map((output) => `  > ${output}`));
  }
  return `${rendered.join("\n")}\n`;
}

interface Words {
  readonly plain: readonly string[];
  readonly flags: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, string>;
}

const flagNames = new Set(["prev", "ignore-value", "ignore-lease", "count", "keys"]);

function parse(words: readonly string[]): Words {
  const plain: string[] = [];
  const flags = new Set<string>();
  const values = new Map<string, string>();
  for (const word of words) {
    const [name = "", value] = word.split("=");
    if (flagNames.has(word)) {
      flags.add(word);
    } else if (value === undefined) {
      plain.push(word);
    } else {
      values.set(name, value);
    }
  }
  return { plain, flags, values };
}

function bytesOf(word: string | undefined): Uint8Array {
  return word === undefined || word === "-" ? new Uint8Array(0) : utf8(word);
}

function endOf(word: string | undefined): Uint8Array {
  if (word === "*") {
    return Uint8Array.of(0);
  }
  const bytes = bytesOf(word?.replace(/\*$/, ""));
  if (word?.endsWith("*")) {
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) + 1;
  }
  return bytes;
}

function operationOf(words: readonly string[], block: string[]): RequestOp {
  const [verb, ...rest] = words;
  const { plain, flags, values } = parse(rest);
  const [first, second] = plain;
  switch (verb) {
    case "put": {
      const value = PutRequest.create({
        key: bytesOf(first),
        value: bytesOf(second),
        lease: BigInt(values.get("lease") ?? 0),
        prevKv: flags.has("prev"),
        ignoreValue: flags.has("ignore-value"),
        ignoreLease: flags.has("ignore-lease"),
      });
      return { request: { kind: "requestPut", value } };
    }
    case "del": {
      const rangeEnd = endOf(second);
      const value = { key: bytesOf(first), rangeEnd, prevKv: flags.has("prev") };
      return { request: { kind: "requestDeleteRange", value } };
    }
    case "get": {
      const value = RangeRequest.create({
        key: bytesOf(first),
        rangeEnd: endOf(second),
        revision: Number(values.get("rev") ?? 0),
        limit: Number(values.get("limit") ?? 0),
        countOnly: flags.has("count"),
        keysOnly: flags.has("keys"),
      });
      return { request: { kind: "requestRange", value } };
    }
    case "txn":
      return { request: { kind: "requestTxn", value: txnOf(block) } };
    default:
      throw new Error(`unknown operation ${verb}`);
  }
}

const targets = {
  version: CompareTarget.VERSION,
  create: CompareTarget.CREATE,
  mod: CompareTarget.MOD,
  value: CompareTarget.VALUE,
  lease: CompareTarget.LEASE,
} as const;
const results = {
  "=": CompareResult.EQUAL,
  ">": CompareResult.GREATER,
  "<": CompareResult.LESS,
  "!=": CompareResult.NOT_EQUAL,
} as const;
const unions = {
  version: "version",
  create: "createRevision",
  mod: "modRevision",
} as const;

function unionOf(target: string, operand: string): Compare["targetUnion"] {
  if (target === "value") {
    return { kind: "value", value: bytesOf(operand) };
  }
  if (target === "lease") {
    return { kind: "lease", value: BigInt(operand) };
  }
  return { kind: unions[target as keyof typeof unions], value: Number(operand) };
}

function compareOf([target = "", key, result = "", operand = "", end]: string[]): Compare {
  return {
    result: results[result as keyof typeof results],
    target: targets[target as keyof typeof targets],
    key: bytesOf(key),
    rangeEnd: endOf(end),
    targetUnion: unionOf(target, operand),
  };
}

/** Takes its lines, and the "end" behind them, off the block. */
function txnOf(block: string[]): TxnRequest {
  const compare: Compare[] = [];
  const success: RequestOp[] = [];
  const failure: RequestOp[] = [];
  for (;;) {
    const [verb = "end", ...words] = (block.shift() ?? "end").split(/\s+/);
    if (verb === "end") {
      return { compare, success, failure };
    }
    if (verb === "if") {
      compare.push(compareOf(words));
    } else {
      (verb === "then" ? success : failure).push(operationOf(words, block));
    }
  }
}

function pairText(stored: StoredKeyValue): string {
  const pair = KeyValue.decode(stored.message);
  const lease = pair.lease === 0n ? "" : ` lease=${pair.lease}`;
  const revisions = `create=${pair.createRevision} mod=${pair.modRevision}`;
  return `${fromUtf8(pair.key)}="${fromUtf8(pair.value)}" ${revisions} version=${pair.version}${lease}`;
}

function resultLines(result: CommandResult | TxnOpResult): string[] {
  const indent = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);
  switch (result.kind) {
    case "error":
      return [`error ${result.code}`];
    case "put":
      return [
        `put at ${result.revision}`,
        ...(result.previous ? [`  was ${pairText(result.previous)}`] : []),
      ];
    case "deleteRange":
      return [
        `deleted ${result.deleted} at ${result.revision}`,
        ...result.previous.map((pair) => `  was ${pairText(pair)}`),
      ];
    case "range": {
      const { kvs, count, more } = result.range;
      const head = `range at ${result.revision} count=${count}${more ? " more" : ""}`;
      return [head, ...indent(kvs.map(pairText))];
    }
    case "txn":
      return [
        `txn ${result.succeeded ? "then" : "else"} at ${result.revision}`,
        ...indent(result.responses.flatMap(resultLines)),
      ];
    case "leaseGrant":
      return [`lease ${result.id} for ${result.ttlSeconds}s at ${result.revision}`];
    case "alarm":
      return [
        `alarms changed: ${result.alarms.map((one) => `${one.kind}@${one.memberId}`).join(" ") || "none"}`,
      ];
    default:
      return [`${result.kind} at ${result.revision}`];
  }
}

class ScriptRun {
  readonly #store = new ModelStore();
  readonly #lessor = new Lessor();
  readonly #membership = Membership.bootstrap(toClusterId(1n), [
    { id: toMemberId(7n), name: "", peerUrls: ["http://a"], clientUrls: [], isLearner: false },
  ]);
  readonly #alarms = new Alarms();
  readonly #auth = new AuthStore();
  readonly #applier = new Applier({
    store: this.#store,
    lessor: this.#lessor,
    membership: this.#membership,
    alarms: this.#alarms,
    auth: this.#auth,
  });
  #term = 1;
  #index = 0;

  command(line: string, block: string[]): string[] {
    const [verb = "", ...words] = line.split(/\s+/);
    const [first = "", second = "", third = ""] = words;
    switch (verb) {
      case "put":
      case "del":
      case "txn":
        return this.#operation(operationOf([verb, ...words], block));
      case "get":
        return this.#read({
          compare: [],
          success: [operationOf([verb, ...words], block)],
          failure: [],
        });
      case "compact":
        return this.#apply(
          "compaction",
          CompactionRequest.encode({ revision: Number(first), physical: false }),
        );
      case "grant":
        return this.#apply(
          "leaseGrant",
          LeaseGrantRequest.encode({ id: BigInt(first), ttl: Number(second) }),
        );
      case "revoke":
        return this.#apply("leaseRevoke", LeaseRevokeRequest.encode({ id: BigInt(first) }));
      case "expire":
        return this.#apply(
          "leaseExpiry",
          LeaseExpiry.encode({ term: Number(first), ids: words.slice(1).map(BigInt) }),
        );
      case "checkpoint":
        return this.#checkpoint(Number(first), words.slice(1));
      case "alarm":
        return this.#alarm(first, second, third);
      case "publish":
        return this.#apply(
          "memberAttributes",
          MemberAttributes.encode({ memberId: BigInt(first), name: second, clientUrls: [third] }),
        );
      default:
        return this.#setting(verb, words);
    }
  }

  #setting(verb: string, words: readonly string[]): string[] {
    switch (verb) {
      case "term":
        this.#term = Number(words[0]);
        return [];
      case "cold":
        for (const word of words) {
          this.#store.cool(bytesOf(word));
        }
        return [];
      case "leases":
        return this.#lessor.ids().map((id) => {
          const lease = this.#lessor.get(id);
          const keys = this.#store.leaseKeys(id).map(fromUtf8).join(",");
          return `${id} ttl=${lease?.grantedTtlSeconds} left=${lease?.remainingTtlSeconds} keys=${keys || "-"}`;
        });
      case "state":
        return [
          `revision ${this.#store.revision} compacted ${this.#store.compactedRevision}`,
          `alarms ${
            this.#alarms
              .list()
              .map((one) => `${one.kind}@${one.memberId}`)
              .join(" ") || "none"
          }`,
          ...this.#membership
            .members()
            .map((member) => `member ${member.id} "${member.name}" ${member.clientUrls.join(",")}`),
        ];
      default:
        throw new Error(`unknown command ${verb}`);
    }
  }

  #operation({ request }: RequestOp): string[] {
    switch (request?.kind) {
      case "requestPut":
        return this.#apply("put", PutRequest.encode(request.value));
      case "requestDeleteRange":
        return this.#apply("deleteRange", DeleteRangeRequest.encode(request.value));
      case "requestTxn":
        return this.#apply("txn", TxnRequest.encode(request.value));
      default:
        throw new Error("not a command");
    }
  }

  #read(request: TxnRequest): string[] {
    const result = readTxn(this.#store, TxnRequest.encode(request));
    return result.kind === "error" ? resultLines(result) : result.responses.flatMap(resultLines);
  }

  #checkpoint(term: number, words: readonly string[]): string[] {
    const checkpoints = words.map((word) => {
      const [id = "", seconds] = word.split("=");
      return { id: BigInt(id), remainingTtl: Number(seconds) };
    });
    return this.#apply("leaseCheckpoint", LeaseCheckpoints.encode({ term, checkpoints }));
  }

  #alarm(action: string, kind: string, member: string): string[] {
    const request = {
      action:
        action === "on" ? AlarmRequestAlarmAction.ACTIVATE : AlarmRequestAlarmAction.DEACTIVATE,
      memberId: BigInt(member),
      alarm: kind === "space" ? AlarmType.NOSPACE : AlarmType.CORRUPT,
    };
    return this.#apply("alarm", AlarmRequest.encode(request));
  }

  #apply(kind: CommandKind, body: Uint8Array): string[] {
    const envelope = { origin: 9n, sequence: ++this.#index, user: "", authRevision: 0 };
    const data = encodeCommand(kind, body, envelope);
    const lines: string[] = [];
    for (;;) {
      try {
        const index = toLogIndex(this.#index);
        const { result, commits } = this.#applier.apply(index, toTerm(this.#term), data);
        lines.push(...resultLines(result));
        for (const { revision, events } of commits) {
          const texts = events.map((event) => `${event.kind} ${fromUtf8(event.key)}`);
          lines.push(`commit ${revision}: ${texts.join(", ")}`);
        }
        return lines;
      } catch (error) {
        if (!(error instanceof MissingRecords)) {
          throw error;
        }
        const unique = [...new Set(error.keys.map(bytesToHex))];
        lines.push(`missing ${unique.map((hex) => fromUtf8(Buffer.from(hex, "hex"))).join(" ")}`);
        this.#store.load(error.keys.map((key) => ({ key, value: undefined })));
      }
    }
  }
}
