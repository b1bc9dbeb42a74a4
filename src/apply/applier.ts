// Applier: one committed command at a time, from its bytes to its result.

import { CorruptionError, DecodeError } from "../base/index.ts";
import type { LogIndex, Term } from "../base/index.ts";
import type { Commit } from "../mvcc/contract.ts";
import { MissingRecords } from "../mvcc/index.ts";
import { decodeCommand } from "../wire/index.ts";
import { AlarmGate } from "./alarm-gate.ts";
import { AuthGate } from "./auth-gate.ts";
import type { CommandKind, CommandResult } from "./command.ts";
import { StateExecutor } from "./executor.ts";
import type { Executor, ReplicatedParts } from "./executor.ts";
import { Toucher } from "./touch.ts";

export interface ApplyOutcome {
  /** Who proposed the command, and its number there. */
  readonly origin: bigint;
  readonly sequence: number;
  readonly kind: CommandKind;
  readonly result: CommandResult;
  /** What it wrote, by revision: for the watchers. */
  readonly commits: readonly Commit[];
}

const noCommits: readonly Commit[] = [];

export class Applier {
  readonly #parts: ReplicatedParts;
  readonly #executor: Executor;
  /** Commits of a command that was broken off to load records: it goes on where it stopped. */
  #commits: Commit[] = [];

  constructor(parts: ReplicatedParts) {
    this.#parts = parts;
    this.#executor = new AlarmGate(new AuthGate(new StateExecutor(parts), parts), parts.alarms);
  }

  /**
   * Applies the command at `index`. Throws MissingRecords when it needs records that are not in
   * memory: load them and call again with the same entry before any other. Throws CorruptionError
   * when the entry is not a command known here: members must halt rather than skip what others
   * execute.
   */
  apply(index: LogIndex, term: Term, data: Uint8Array): ApplyOutcome {
    try {
      const command = decodeCommand(data);
      const result = this.#executor.execute(command, { index, term }, this.#commits);
      const commits = this.#commits.length === 0 ? noCommits : this.#commits;
      if (commits.length > 0) {
        this.#commits = [];
      }
      const { origin, sequence, kind } = command;
      return { origin, sequence, kind, result, commits };
    } catch (error) {
      if (error instanceof DecodeError) {
        throw new CorruptionError(`log entry ${index}: ${error.message}`, { cause: error });
      }
      if (error instanceof MissingRecords) {
        throw this.#alsoMissing(error, data);
      }
      throw error;
    }
  }

  /**
   * The records that the command would miss now, as far as can be told; for loading ahead. Bytes
   * that do not parse miss nothing: `apply` tells what is wrong with them.
   */
  missing(data: Uint8Array): readonly Uint8Array[] {
    const toucher = new Toucher(this.#parts.store);
    try {
      toucher.command(decodeCommand(data));
    } catch (error) {
      if (!(error instanceof DecodeError)) {
        throw error;
      }
    }
    return toucher.missing;
  }

  /** Adds what the rest of the command will miss, so that one round of loading mostly suffices. */
  #alsoMissing(first: MissingRecords, data: Uint8Array): MissingRecords {
    const more = this.missing(data);
    return more.length === 0 ? first : new MissingRecords([...first.keys, ...more]);
  }
}
