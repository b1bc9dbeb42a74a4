// The alarms that are raised, on which members. Replicated: a gate that looks at them decides the
// same on every member.

import { compareIds, CorruptionError, toMemberId } from "../base/index.ts";
import type { MemberId } from "../base/index.ts";
import type { BatchOperation } from "../storage/engine.ts";
import { AlarmRecord, AlarmRequestAlarmAction, AlarmType } from "../wire/index.ts";
import type { AlarmRequest } from "../wire/index.ts";
import type { Alarm } from "./command.ts";

/** The record that holds all alarms. */
export const alarmsKey: Uint8Array = Uint8Array.of(0x61);

const kinds = ["noSpace", "corrupt"] as const;

function kindOf(type: AlarmType): Alarm["kind"] | undefined {
  return type === AlarmType.NOSPACE
    ? "noSpace"
    : type === AlarmType.CORRUPT
      ? "corrupt"
      : undefined;
}

export class Alarms {
  readonly #raised: Readonly<Record<Alarm["kind"], Set<MemberId>>> = {
    noSpace: new Set(),
    corrupt: new Set(),
  };
  #dirty = false;

  /** Whether any member has raised it. */
  isRaised(kind: Alarm["kind"]): boolean {
    return this.#raised[kind].size > 0;
  }

  /** By kind, then by member. */
  list(): readonly Alarm[] {
    return kinds.flatMap((kind) =>
      [...this.#raised[kind]].sort(compareIds).map((memberId) => ({ memberId, kind })),
    );
  }

  /**
   * Raises or disarms one alarm of one member and returns it, as etcd does: also when it was
   * raised already, not when there was none to disarm. Anything else changes nothing.
   */
  change(request: AlarmRequest): readonly Alarm[] {
    const kind = kindOf(request.alarm);
    if (kind === undefined) {
      return [];
    }
    const raised = this.#raised[kind];
    const memberId = toMemberId(request.memberId);
    switch (request.action) {
      case AlarmRequestAlarmAction.ACTIVATE:
        this.#dirty ||= !raised.has(memberId);
        raised.add(memberId);
        return [{ memberId, kind }];
      case AlarmRequestAlarmAction.DEACTIVATE:
        if (!raised.delete(memberId)) {
          return [];
        }
        this.#dirty = true;
        return [{ memberId, kind }];
      default:
        return [];
    }
  }

  /** Installs what `alarmsKey` holds, read at start. Throws CorruptionError. */
  load(value: Uint8Array): void {
    let record: AlarmRecord;
    try {
      record = AlarmRecord.decode(value);
    } catch (error) {
      throw new CorruptionError("the alarm record does not parse", { cause: error });
    }
    for (const { memberId, alarm } of record.alarms) {
      const kind = kindOf(alarm);
      if (kind === undefined) {
        throw new CorruptionError(`the alarm record has an alarm of type ${alarm}`);
      }
      this.#raised[kind].add(toMemberId(memberId));
    }
  }

  /** The record, if it changed since the last call. */
  collectDirty(): BatchOperation[] {
    if (!this.#dirty) {
      return [];
    }
    this.#dirty = false;
    const alarms = this.list().map(({ memberId, kind }) => ({
      memberId,
      alarm: kind === "noSpace" ? AlarmType.NOSPACE : AlarmType.CORRUPT,
    }));
    return [{ kind: "put", key: alarmsKey, value: AlarmRecord.encode({ alarms }) }];
  }
}
