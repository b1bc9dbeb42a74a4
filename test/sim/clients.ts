// Clients: each sends one request at a time to a member, pinned to one or roaming, waits for the
// answer as long as its patience lasts, thinks, and goes on.

import { QuorateError, toLeaseId } from "../../src/base/index.ts";
import type { Rng } from "../../src/base/index.ts";
import type { CommandKind, CommandResult, QuorateNode, StateReader } from "../../src/node/index.ts";
import {
  CompactionRequest,
  DeleteRangeRequest,
  LeaseGrantRequest,
  LeaseRevokeRequest,
  PutRequest,
  TxnRequest,
} from "../../src/wire/index.ts";
import type { RangeRequest } from "../../src/wire/index.ts";
import type { Revision } from "../../src/base/index.ts";
import type { History, Operation, OperationKind } from "./history.ts";
import type { LeaseBook } from "./leases.ts";
import type { SimMember } from "./member.ts";
import { withOperation } from "./operation-id.ts";
import type { Registers } from "./registers.ts";
import { renderRange, renderResult } from "./render.ts";
import type { Requests } from "./requests.ts";
import { briefly, demand } from "./violation.ts";
import type { World } from "./world.ts";

export interface ReadAnswer {
  readonly revision: number;
  readonly answer: string;
}

/** A range as the front door would serve it. */
export function serveRange(state: StateReader, request: RangeRequest): ReadAnswer {
  const { store } = state;
  const { revision } = store;
  if (request.revision > revision) {
    return { revision, answer: "error futureRevision" };
  }
  if (request.revision > 0 && request.revision < store.compactedRevision) {
    return { revision, answer: "error compacted" };
  }
  const result = store.range({
    key: request.key,
    rangeEnd: request.rangeEnd,
    revision: request.revision as Revision | 0,
    limit: request.limit,
    keysOnly: request.keysOnly,
    countOnly: request.countOnly,
    sortTarget: "key",
    sortOrder: "none",
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  });
  return { revision, answer: renderRange(result) };
}

/** Requests to a leader that slept. */
const pokes = 6;

export class Client {
  readonly #world: World;
  readonly #number: number;
  readonly #rng: Rng;
  readonly #requests: Requests;
  readonly #history: History;
  readonly #leases: LeaseBook;
  readonly #registers: Registers;
  readonly #home: SimMember | undefined;
  /** Only compacts, at its own pace. */
  readonly #isCompactor: boolean;
  #isOver = false;

  constructor(
    world: World,
    number: number,
    rng: Rng,
    requests: Requests,
    history: History,
    leases: LeaseBook,
    isCompactor: boolean,
    registers: Registers,
  ) {
    this.#registers = registers;
    this.#world = world;
    this.#number = number;
    this.#rng = rng;
    this.#requests = requests;
    this.#history = history;
    this.#leases = leases;
    this.#isCompactor = isCompactor;
    const { members } = world;
    this.#home = number % 2 === 0 ? members[(number / 2) % members.length] : undefined;
  }

  begin(): void {
    const { options, scheduler } = this.#world;
    const everyMs = this.#isCompactor ? options.compactEveryMs : options.thinkMs;
    scheduler.after(this.#rng.below(2 * everyMs) + 0.1, () => {
      if (!this.#isOver) {
        this.#request(() => this.begin());
      }
    });
  }

  /** Sends nothing more. */
  end(): void {
    this.#isOver = true;
  }

  /** Asks a member what only a leader may answer, in its first moments after a sleep. */
  poke(member: SimMember): void {
    const { options, scheduler } = this.#world;
    for (let count = 0; count < pokes; count++) {
      scheduler.after(this.#rng.below(options.electionTimeoutMs), () => {
        if (member.node === undefined || member.process === undefined || this.#isOver) {
          return;
        }
        const { known } = this.#leases;
        const id = known[this.#rng.below(Math.max(1, known.length))];
        if (id !== undefined && this.#rng.below(2) === 0) {
          this.#keepAlive(member, id, () => {});
        } else {
          this.read(member, true, this.#requests.get(), () => {});
        }
      });
    }
  }

  #request(done: () => void): void {
    const { members } = this.#world;
    const member = this.#home ?? (members[this.#rng.below(members.length)] as SimMember);
    if (member.node === undefined || member.process === undefined) {
      done();
      return;
    }
    if (this.#isCompactor) {
      this.#compact(member, done);
      return;
    }
    const chance = this.#rng.below(115);
    if (chance >= 100) {
      this.#register(member, done);
    } else if (chance < 30) {
      const request = this.#requests.put(this.#leases.known);
      this.propose(member, "put", PutRequest.encode(request), done);
    } else if (chance < 37) {
      const request = DeleteRangeRequest.encode(this.#requests.deleteRange());
      this.propose(member, "deleteRange", request, done);
    } else if (chance < 52) {
      const known = this.#history.knownRevision;
      const request = this.#requests.txn(this.#leases.known, known);
      this.propose(member, "txn", TxnRequest.encode(request), done);
    } else if (chance < 70) {
      this.read(member, true, this.#requests.get(), done);
    } else if (chance < 80) {
      this.read(member, this.#rng.below(3) > 0, this.#requests.range(), done);
    } else if (chance < 85) {
      const back = this.#rng.below(30) - 2;
      const revision = Math.max(0, this.#history.knownRevision - back);
      this.read(member, true, { ...this.#requests.range(), revision }, done);
    } else if (chance < 88) {
      this.read(member, false, this.#requests.get(), done);
    } else {
      this.#leaseRequest(member, chance - 88, done);
    }
  }

  #register(member: SimMember, done: () => void): void {
    const { key, call } = this.#registers.next();
    let operation: Operation;
    if (call.kind === "put") {
      operation = this.propose(member, "put", PutRequest.encode(call.request), done);
    } else if (call.kind === "deleteRange") {
      const encoded = DeleteRangeRequest.encode(call.request);
      operation = this.propose(member, "deleteRange", encoded, done);
    } else {
      operation = this.read(member, true, call.request, done);
    }
    this.#registers.note(key, operation, call.write);
  }

  #leaseRequest(member: SimMember, chance: number, done: () => void): void {
    const { known } = this.#leases;
    const id = known[this.#rng.below(Math.max(1, known.length))];
    if (id === undefined || chance < 3) {
      this.#grant(member, done);
    } else if (chance < 8) {
      const all = this.#leases.all;
      // Now and then one of the last that ended: a leader of the past may still think it lives.
      const old = all[all.length - 1 - this.#rng.below(Math.min(8, all.length))] ?? id;
      this.#keepAlive(member, this.#rng.below(4) === 0 ? old : id, done);
    } else if (chance < 10) {
      this.#timeToLive(member, id, done);
    } else {
      this.propose(member, "leaseRevoke", LeaseRevokeRequest.encode({ id }), done);
    }
  }

  propose(
    member: SimMember,
    kind: CommandKind & OperationKind,
    encoded: Uint8Array,
    done: (result: CommandResult | undefined) => void,
  ): Operation {
    const operation = this.#begin(member, kind, undefined);
    const bytes = withOperation(encoded, operation.id);
    this.#call(
      member,
      operation,
      (node) => node.propose(kind, bytes),
      (result) => {
        if (result !== undefined) {
          operation.answer = renderResult(result);
          if (result.kind !== "error") {
            this.#history.told(result.revision);
          }
        }
        done(result);
      },
    );
    return operation;
  }

  read(
    member: SimMember,
    linearizable: boolean,
    range: RangeRequest,
    done: (answer: ReadAnswer | undefined) => void,
  ): Operation {
    const operation = this.#begin(member, linearizable ? "read" : "serializableRead", range);
    const read = async (node: QuorateNode): Promise<ReadAnswer> =>
      node.read(linearizable, (state) => serveRange(state, range));
    this.#call(member, operation, read, (result) => {
      if (result !== undefined) {
        operation.revision = result.revision;
        operation.answer = result.answer;
        if (linearizable) {
          const { knownRevision } = operation;
          demand(
            result.revision >= knownRevision,
            () =>
              `a linearizable read at ${member.name} shows revision ${result.revision}, ` +
              `${knownRevision} was acknowledged before it was asked for`,
          );
          this.#history.told(result.revision);
        }
      }
      done(result);
    });
    return operation;
  }

  #compact(member: SimMember, done: () => void): void {
    const revision = this.#history.knownRevision - this.#rng.below(20);
    const request = CompactionRequest.create({ revision: Math.max(1, revision) });
    this.propose(member, "compaction", CompactionRequest.encode(request), done);
  }

  #grant(member: SimMember, done: () => void): void {
    const { options } = this.#world;
    const least = Math.ceil((options.electionTimeoutMs * 1.5) / 1000);
    const ttl = least + this.#rng.below(options.leaseTtlSecondsMax);
    const id = 1_000_000n + BigInt(this.#history.operations.length);
    const operation = this.propose(
      member,
      "leaseGrant",
      LeaseGrantRequest.encode({ id, ttl }),
      (result) => {
        if (result?.kind === "leaseGrant") {
          this.#leases.granted(id, ttl, operation.callMs);
        }
        done();
      },
    );
  }

  #keepAlive(member: SimMember, id: bigint, done: () => void): void {
    const { scheduler } = this.#world;
    const operation = this.#begin(member, "keepAlive", undefined);
    this.#leases.tried(id, scheduler.nowMs);
    this.#call(
      member,
      operation,
      (node) => node.leaseKeepAlive(toLeaseId(id)),
      (seconds) => {
        if (seconds !== undefined) {
          operation.answer = `${seconds}`;
          const { nowMs } = scheduler;
          this.#later(() => this.#leases.renewed(id, seconds, operation.callMs, nowMs));
        }
        done();
      },
    );
  }

  #timeToLive(member: SimMember, id: bigint, done: () => void): void {
    const operation = this.#begin(member, "timeToLive", undefined);
    const ask = (node: QuorateNode): ReturnType<QuorateNode["leaseTimeToLive"]> =>
      node.leaseTimeToLive(toLeaseId(id), false);
    this.#call(member, operation, ask, (answer) => {
      if (answer !== undefined) {
        operation.answer = `${answer.ttlSeconds}`;
        this.#later(() => this.#leases.timeToLive(id, answer.ttlSeconds, operation.callMs));
      }
      done();
    });
  }

  /** Checks after this event, when the ledger knows of all that was applied in it. */
  #later(check: () => void): void {
    this.#world.scheduler.after(0, () => {
      try {
        check();
      } catch (error) {
        this.#world.fail(error);
      }
    });
  }

  #begin(member: SimMember, kind: OperationKind, range: RangeRequest | undefined): Operation {
    const operation = this.#history.begin({
      client: this.#number,
      member: member.name,
      kind,
      callMs: this.#world.scheduler.nowMs,
      range,
    });
    if (this.#world.traces) {
      this.#world.trace(`c${this.#number} calls ${kind} ${operation.id} at ${member.name}`);
    }
    return operation;
  }

  /** Calls `settle` once: with the answer, or with undefined when there is none in time. */
  #call<T>(
    member: SimMember,
    operation: Operation,
    call: (node: QuorateNode) => Promise<T>,
    settle: (answer: T | undefined) => void,
  ): void {
    const { scheduler, options } = this.#world;
    const { process, node } = member;
    let over = false;
    const end = (answer: T | undefined, error?: unknown): void => {
      if (over) {
        return;
      }
      over = true;
      patience.cancel();
      operation.returnMs = scheduler.nowMs;
      if (error !== undefined) {
        operation.error = error instanceof QuorateError ? error.code : briefly(error);
        if (!(error instanceof QuorateError)) {
          this.#world.trace(`${operation.kind} ${operation.id} failed: ${briefly(error)}`);
        }
      }
      try {
        settle(answer);
      } catch (failure) {
        this.#world.fail(failure);
      }
      this.#world.note(operation.id);
      if (this.#world.traces) {
        const told = operation.answer ?? operation.error ?? "nothing";
        this.#world.trace(`c${this.#number} gets ${operation.kind} ${operation.id}: ${told}`);
      }
    };
    const patience = scheduler.after(options.patienceMs, () => end(undefined));
    process?.run(() => {
      let answer: Promise<T>;
      try {
        answer = call(node as QuorateNode);
      } catch (error) {
        end(undefined, error);
        return;
      }
      answer.then(
        (value) => end(value),
        (error: unknown) => end(undefined, error),
      );
    });
  }
}
