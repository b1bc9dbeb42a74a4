// Which endpoint a call goes to.

import type { Channel } from "./channel.ts";

/**
 * "first": all calls go to one endpoint until it fails, then to the next. "spread": calls go to all
 * endpoints in turn, except to those that failed a moment ago.
 */
export type Balancing = "first" | "spread";

const restMsMin = 250;
const restMsMax = 5_000;

interface Health {
  failures: number;
  /** Not to be chosen before, milliseconds since the epoch, while there is another. */
  restsUntil: number;
}

export class Endpoints {
  readonly channels: readonly Channel[];
  readonly #balancing: Balancing;
  readonly #health: readonly Health[];
  #next: number;

  constructor(channels: readonly Channel[], balancing: Balancing) {
    this.channels = channels;
    this.#balancing = balancing;
    this.#health = channels.map(() => ({ failures: 0, restsUntil: 0 }));
    // Many clients with the same list must not all begin with the same member.
    this.#next = balancing === "first" ? 0 : Math.floor(Math.random() * channels.length);
  }

  /** The endpoint for a call that begins now, if possible not `except`. */
  pick(except?: Channel): Channel {
    const count = this.channels.length;
    const now = Date.now();
    let chosen = this.#next;
    let restsUntil = Number.POSITIVE_INFINITY;
    for (let i = 0; i < count; i++) {
      const index = (this.#next + i) % count;
      const health = this.#health[index] as Health;
      if (this.channels[index] === except && count > 1) {
        continue;
      }
      if (health.restsUntil <= now) {
        chosen = index;
        break;
      }
      if (health.restsUntil < restsUntil) {
        chosen = index;
        restsUntil = health.restsUntil;
      }
    }
    if (this.#balancing === "spread") {
      this.#next = (chosen + 1) % count;
    } else if (except === undefined) {
      this.#next = chosen;
    }
    return this.channels[chosen] as Channel;
  }

  /** A call to `channel` found no server there that can do anything now. */
  failed(channel: Channel): void {
    const index = this.channels.indexOf(channel);
    const health = this.#health[index];
    const now = Date.now();
    // One break fails many calls at once; they count as one failure.
    if (health === undefined || health.restsUntil > now) {
      return;
    }
    health.restsUntil = now + Math.min(restMsMax, restMsMin * 2 ** health.failures);
    health.failures++;
    if (this.#next === index) {
      this.#next = (index + 1) % this.channels.length;
    }
  }

  answered(channel: Channel): void {
    const health = this.#health[this.channels.indexOf(channel)];
    if (health !== undefined && health.failures > 0) {
      health.failures = 0;
      health.restsUntil = 0;
    }
  }
}
