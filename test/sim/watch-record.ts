// What one watch was told, and the check of it against the history of the model: filtered, ordered,
// unique, whole revisions, no gaps, true progress, right pairs before, right `created`.

import type { StoredEvent, WatchEvent, WatchNotice } from "../../src/node/index.ts";
import { Event } from "../../src/wire/index.ts";
import { isIn, renderPair, text } from "./model.ts";
import type { Model, ModelEvent } from "./model.ts";
import { renderStored } from "./render.ts";
import { demand } from "./violation.ts";

export interface WatchRange {
  readonly key: string;
  readonly rangeEnd: string;
  readonly previous: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly progressNotify: boolean;
}

interface TakenEvent {
  readonly revision: number;
  readonly text: string;
  readonly previous: string;
}

type Taken =
  | { readonly kind: "events"; readonly revision: number; readonly events: readonly TakenEvent[] }
  | { readonly kind: "progress" | "compacted" | "created"; readonly revision: number }
  | { readonly kind: "other"; readonly text: string };

export class WatchRecord {
  readonly range: WatchRange;
  readonly start: number;
  readonly #name: string;
  readonly #taken: Taken[] = [];
  /** The next revision that it has not been told everything of. */
  #position: number;
  #compactedAt: number | undefined;
  #created = false;

  constructor(range: WatchRange, start: number, name: string) {
    this.range = range;
    this.start = start;
    this.#position = start;
    this.#name = name;
  }

  /** Compacted away: it will hear no more. */
  get isEnded(): boolean {
    return this.#compactedAt !== undefined;
  }

  get eventCount(): number {
    let count = 0;
    for (const taken of this.#taken) {
      count += taken.kind === "events" ? taken.events.length : 0;
    }
    return count;
  }

  get wasCompacted(): boolean {
    return this.#compactedAt !== undefined;
  }

  /** Where a client goes on: behind what it has, or at what is left of it. */
  get resumeAt(): number {
    return this.#compactedAt ?? this.#position;
  }

  take(notice: WatchNotice): void {
    switch (notice.kind) {
      case "created":
        if (this.#position === 0) {
          this.#position = notice.revision + 1;
        }
        this.#taken.push({ kind: "created", revision: notice.revision });
        return;
      case "events": {
        const { revision } = notice;
        const events = notice.events.map(takenEvent);
        this.#taken.push({ kind: "events", revision, events });
        this.#position = Math.max(this.#position, (events.at(-1)?.revision ?? 0) + 1);
        return;
      }
      case "progress":
        this.#taken.push({ kind: "progress", revision: notice.revision });
        this.#position = Math.max(this.#position, notice.revision + 1);
        return;
      case "compacted":
        this.#compactedAt = notice.compactedRevision;
        this.#taken.push({ kind: "compacted", revision: notice.compactedRevision });
        return;
      default:
        this.#taken.push({ kind: "other", text: notice.kind });
    }
  }

  /** Throws Violation. */
  check(model: Model): void {
    let position = this.start;
    this.#created = false;
    for (const taken of this.#taken) {
      switch (taken.kind) {
        case "created":
          demand(!this.#created, () => `${this.#name}: created twice`);
          this.#created = true;
          position ||= taken.revision + 1;
          break;
        case "events":
          position = this.#checkEvents(taken, position, model);
          break;
        case "progress":
          demand(this.#created, () => `${this.#name}: progress before it was created`);
          this.#demandNothing(model, position, taken.revision, "progress was told");
          position = Math.max(position, taken.revision + 1);
          break;
        case "compacted":
          demand(
            taken.revision > position && taken.revision <= model.compacted,
            () => `${this.#name}: compacted at ${taken.revision}, it stood at ${position}`,
          );
          break;
        default:
          demand(false, () => `${this.#name}: unexpected notice ${taken.text}`);
      }
    }
  }

  /** It must have everything up to now. */
  checkComplete(model: Model): void {
    if (this.#created) {
      this.#demandNothing(model, this.#position, model.revision, "the end came");
    }
  }

  #checkEvents(
    taken: { readonly revision: number; readonly events: readonly TakenEvent[] },
    position: number,
    model: Model,
  ): number {
    const last = taken.events.at(-1)?.revision ?? 0;
    demand(this.#created, () => `${this.#name}: events before it was created`);
    demand(taken.revision >= last, () => `${this.#name}: header revision below its events'`);
    const right = this.#expected(model, position, last);
    const told = taken.events.map((event) => event.text);
    demand(
      told.length === right.length && told.every((event, i) => event === renderEvent(right[i])),
      () =>
        `${this.#name}: from ${position} to ${last} it was told ${told.join(" ")}; ` +
        `right is ${right.map(renderEvent).join(" ")}`,
    );
    taken.events.forEach((event, i) => {
      const previous = right[i]?.previous;
      const wanted = this.range.previous ? renderPair(previous) : "-";
      const gone = event.previous === "-" && model.compacted >= event.revision;
      demand(
        event.previous === wanted || gone,
        () => `${this.#name}: ${event.text} came with ${event.previous} instead of ${wanted}`,
      );
    });
    return last + 1;
  }

  #demandNothing(model: Model, from: number, to: number, when: string): void {
    const missed = this.#expected(model, from, to);
    demand(
      missed.length === 0,
      () => `${this.#name}: ${when} before ${missed.map(renderEvent).join(" ")}`,
    );
  }

  #expected(model: Model, from: number, to: number): ModelEvent[] {
    const { key, rangeEnd, noPut, noDelete } = this.range;
    return model.events
      .slice(Math.max(0, from), to + 1)
      .flat()
      .filter(
        (event) => isIn(event.key, key, rangeEnd) && !(event.kind === "put" ? noPut : noDelete),
      );
  }
}

function takenEvent({ event, previous }: WatchEvent): TakenEvent {
  return {
    revision: event.revision,
    text: renderStoredEvent(event),
    previous: renderStored(previous),
  };
}

function renderStoredEvent(event: StoredEvent): string {
  const { kv } = Event.decode(event.message);
  const key = text(event.key);
  if (event.kind === "delete") {
    return `${event.revision}:delete ${key}`;
  }
  const pair = {
    key: text(kv?.key ?? new Uint8Array(0)),
    value: text(kv?.value ?? new Uint8Array(0)),
    create: kv?.createRevision ?? 0,
    mod: kv?.modRevision ?? 0,
    version: kv?.version ?? 0,
    lease: kv?.lease ?? 0n,
  };
  return `${event.revision}:${event.created ? "create" : "put"} ${renderPair(pair)}`;
}

function renderEvent(event: ModelEvent | undefined): string {
  if (event === undefined) {
    return "nothing";
  }
  if (event.kind === "delete") {
    return `${event.revision}:delete ${event.key}`;
  }
  const created = event.previous === undefined;
  return `${event.revision}:${created ? "create" : "put"} ${renderPair(event.pair)}`;
}
