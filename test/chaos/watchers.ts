// Watchers of everything from revision 1: each goes on where it was broken off, at another member,
// and demands that nothing is missing, doubled, split or out of order.

import type { WatchResponse } from "../../src/wire/index.ts";
import { demand } from "../sim/violation.ts";
import type { Endpoint } from "./endpoint.ts";
import type { History } from "./history.ts";
import { renderEvent } from "./render.ts";
import { sleep } from "./workload.ts";

/** A silent stream is given up after this; members tell their progress more often. */
const silenceMsMax = 3_000;

/** Events by revision, as one watcher was shown them. */
export type EventLog = Map<number, string[]>;

/** Takes in the responses of one stream in order. */
export class WatchLog {
  readonly events: EventLog = new Map();
  readonly #name: string;
  readonly #history: History | undefined;
  #last: number;
  /** No event at or below this may come any more. */
  #promised = 0;
  responses = 0;

  constructor(name: string, history: History | undefined, startRevision = 1) {
    this.#name = name;
    this.#history = history;
    this.#last = startRevision - 1;
  }

  /** The newest revision that is known to be complete. */
  get revision(): number {
    return Math.max(this.#last, this.#promised);
  }

  get nextRevision(): number {
    return this.#last + 1;
  }

  /** Throws Violation. */
  take(response: WatchResponse): void {
    this.responses++;
    const upTo = response.header?.revision ?? 0;
    if (response.events.length === 0) {
      if (!response.created && !response.canceled) {
        this.#promised = Math.max(this.#promised, upTo);
      }
      return;
    }
    const fresh = new Set<number>();
    for (const event of response.events) {
      const revision = event.kv?.modRevision ?? 0;
      const where = (): string => `${this.#name}: an event of revision ${revision}`;
      demand(
        revision > this.#last || (revision === this.#last && fresh.has(revision)),
        () => `${where()} after one of ${this.#last}`,
      );
      demand(
        revision > this.#promised,
        () => `${where()} after progress to ${this.#promised} was told`,
      );
      demand(revision <= upTo, () => `${where()} in a response of revision ${upTo}`);
      this.#last = revision;
      fresh.add(revision);
      this.#history?.seen(revision);
      const known = this.events.get(revision);
      if (known === undefined) {
        this.events.set(revision, [renderEvent(event)]);
      } else {
        known.push(renderEvent(event));
      }
    }
  }
}

/** A watcher that lives as long as the run. */
export class Watcher {
  readonly log: WatchLog;
  readonly #endpoints: readonly Endpoint[];
  #at: number;
  #isOver = false;
  #endStream: () => void = () => undefined;
  readonly #onViolation: (error: unknown) => void;
  resumptions = 0;
  readonly #done: Promise<void>;

  constructor(
    name: string,
    endpoints: readonly Endpoint[],
    first: number,
    history: History,
    onViolation: (error: unknown) => void,
  ) {
    this.log = new WatchLog(name, history);
    this.#endpoints = endpoints;
    this.#at = first;
    this.#onViolation = onViolation;
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    this.#endStream();
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      await this.#stream(this.#endpoints[this.#at % this.#endpoints.length] as Endpoint);
      this.#at++;
      this.resumptions++;
      await sleep(50);
    }
  }

  #stream(endpoint: Endpoint): Promise<void> {
    return new Promise((resolve) => {
      let heardMs = performance.now();
      const silence = setInterval(() => {
        if (performance.now() - heardMs > silenceMsMax) {
          this.#endStream();
        }
      }, 500);
      this.#endStream = endpoint.watch(
        this.log.nextRevision,
        (response) => {
          heardMs = performance.now();
          try {
            this.log.take(response);
          } catch (error) {
            this.#onViolation(error);
          }
        },
        () => {
          clearInterval(silence);
          resolve();
        },
      );
    });
  }
}

/** Everything from revision 1 to `revision`, as `endpoint` shows it afresh. Rejects when it fails. */
export async function replay(
  endpoint: Endpoint,
  revision: number,
  waitMs: number,
): Promise<EventLog> {
  const log = new WatchLog(`a replay at ${endpoint.name}`, undefined);
  let end: () => void = () => undefined;
  let timer: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(
        () => reject(new Error(`${endpoint.name} replayed ${log.revision} of ${revision}`)),
        waitMs,
      );
      end = endpoint.watch(
        1,
        (response) => {
          try {
            log.take(response);
          } catch (error) {
            reject(error);
          }
          if (response.canceled) {
            reject(new Error(`the replay was cancelled: ${response.cancelReason}`));
          }
          if (log.revision >= revision) {
            resolve();
          }
        },
        (why) => reject(new Error(why)),
      );
    });
  } finally {
    clearTimeout(timer);
    end();
  }
  return log.events;
}
