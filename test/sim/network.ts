// The virtual network: frames, calls and state transfers between processes, each direction of
// each pair with faults of its own. Between two healthy members frames keep their order, as on a
// connection; a fault may lose, double, delay and reorder them, which is more than TCP would do.

import type { MemberId, Rng } from "../../src/base/index.ts";
import { DecodeError } from "../../src/base/index.ts";
import type {
  OutgoingFrame,
  PeerAddress,
  PeerHandlers,
  PeerLinkStatus,
  PeerNetwork,
} from "../../src/peer/index.ts";
import type { SimProcess } from "./process.ts";
import type { Scheduler } from "./scheduler.ts";

/** What one direction of a link does to what it carries. */
export interface LinkFault {
  readonly cut: boolean;
  /** Probabilities, 0 to 1. */
  readonly loss: number;
  readonly duplication: number;
  readonly reordering: number;
  /** Added to each delivery, milliseconds. */
  readonly delayMs: number;
}

export const healthyLink: LinkFault = {
  cut: false,
  loss: 0,
  duplication: 0,
  reordering: 0,
  delayMs: 0,
};

const handshakeMs = 50;
const pingMs = 1_000;

interface Station {
  readonly process: SimProcess;
  handlers: PeerHandlers | undefined;
  /** Who has called this process, on its member list or not. */
  readonly callers: Set<MemberId>;
}

export interface NetworkCounters {
  delivered: number;
  lost: number;
  duplicated: number;
  reordered: number;
  transfers: number;
}

export class SimNetwork {
  readonly #scheduler: Scheduler;
  readonly #rng: Rng;
  readonly #stations = new Map<MemberId, Station>();
  /** By link; see #link. */
  readonly #faults = new Map<number, LinkFault>();
  readonly #numbers = new Map<MemberId, number>();
  /** When the last frame of a direction arrives: the next may not overtake it. */
  readonly #arrivalMs = new Map<number, number>();
  /** When a frame of a direction was last taken. */
  readonly #heardMs = new Map<number, number>();
  /** Sees every frame as it leaves, whatever becomes of it; says whether it may come twice. */
  onSend: (from: MemberId, to: MemberId, type: number, bytes: Uint8Array) => boolean = () => false;
  readonly counters: NetworkCounters = {
    delivered: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    transfers: 0,
  };

  constructor(scheduler: Scheduler, rng: Rng) {
    this.#scheduler = scheduler;
    this.#rng = rng;
  }

  setFault(from: MemberId, to: MemberId, fault: LinkFault): void {
    this.#faults.set(this.#link(from, to), fault);
  }

  /** When `to` last took something of `from`. */
  heardMs(from: MemberId, to: MemberId): number {
    return this.#heardMs.get(this.#link(from, to)) ?? Number.NEGATIVE_INFINITY;
  }

  /** The network as one process sees it. */
  attach(self: MemberId, process: SimProcess): PeerNetwork {
    const station: Station = { process, handlers: undefined, callers: new Set() };
    this.#stations.set(self, station);
    return new AttachedNetwork(this, self, station);
  }

  start(station: Station, handlers: PeerHandlers): void {
    station.handlers = handlers;
  }

  detach(self: MemberId, station: Station): void {
    station.handlers = undefined;
    if (this.#stations.get(self) === station) {
      this.#stations.delete(self);
    }
  }

  /** Calls `deliver` in the receiver's process, perhaps late, twice or never. */
  carry(
    from: MemberId,
    to: MemberId,
    deliver: (handlers: PeerHandlers) => void,
    repeatable = false,
  ): void {
    const fault = this.#fault(from, to);
    if (fault.cut || this.#chance(fault.loss)) {
      this.counters.lost++;
      return;
    }
    this.#schedule(from, to, fault, deliver);
    if (repeatable && this.#chance(fault.duplication)) {
      this.counters.duplicated++;
      this.#schedule(from, to, fault, deliver);
    }
  }

  /** A connection is closed and the next handshake refused, which takes a while. */
  refuse(by: MemberId, whom: MemberId): void {
    this.#scheduler.after(handshakeMs, () =>
      this.carry(by, whom, (handlers) => handlers.onRefused(by, "removed")),
    );
  }

  /** `from` has called `to`. */
  met(from: MemberId, to: MemberId): void {
    this.#stations.get(to)?.callers.add(from);
  }

  /** How many of `count` chunks of a transfer arrive. */
  chunksArriving(from: MemberId, to: MemberId, count: number): number {
    const { loss } = this.#fault(from, to);
    return this.#chance(loss) ? this.#rng.below(count) : count;
  }

  isCut(from: MemberId, to: MemberId): boolean {
    return this.#fault(from, to).cut || this.#stations.get(to)?.handlers === undefined;
  }

  #schedule(
    from: MemberId,
    to: MemberId,
    fault: LinkFault,
    deliver: (handlers: PeerHandlers) => void,
  ): void {
    const name = this.#link(from, to);
    const nowMs = this.#scheduler.nowMs;
    let atMs =
      nowMs + 0.1 + this.#rng.below(100) / 200 + fault.delayMs * (this.#rng.below(1000) / 1000);
    if (this.#chance(fault.reordering)) {
      this.counters.reordered++;
      atMs += this.#rng.below(50);
    } else {
      atMs = Math.max(atMs, this.#arrivalMs.get(name) ?? 0);
      this.#arrivalMs.set(name, atMs);
    }
    this.#scheduler.after(atMs - nowMs, () => {
      const station = this.#stations.get(to);
      if (station === undefined) {
        return;
      }
      station.process.run(() => {
        if (station.handlers !== undefined) {
          this.counters.delivered++;
          this.#heardMs.set(name, this.#scheduler.nowMs);
          deliver(station.handlers);
        }
      });
    });
  }

  #fault(from: MemberId, to: MemberId): LinkFault {
    return this.#faults.get(this.#link(from, to)) ?? healthyLink;
  }

  /** A number for a direction; ids are slow to join into names. */
  #link(from: MemberId, to: MemberId): number {
    return this.#number(from) * 1024 + this.#number(to);
  }

  #number(id: MemberId): number {
    let number = this.#numbers.get(id);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(id, number);
    }
    return number;
  }

  #chance(probability: number): boolean {
    return probability > 0 && this.#rng.below(1_000_000) < probability * 1_000_000;
  }
}

class AttachedNetwork implements PeerNetwork {
  readonly #world: SimNetwork;
  readonly #self: MemberId;
  readonly #station: Station;
  #peers: readonly PeerAddress[] = [];

  constructor(world: SimNetwork, self: MemberId, station: Station) {
    this.#world = world;
    this.#self = self;
    this.#station = station;
  }

  start(handlers: PeerHandlers): Promise<void> {
    this.#world.start(this.#station, handlers);
    this.#ping();
    return Promise.resolve();
  }

  /** As on a connection that stays open: whoever has been removed meanwhile is let go. */
  #ping(): void {
    this.#station.process.after(pingMs, () => {
      if (this.#station.handlers === undefined) {
        return;
      }
      for (const { id } of this.#peers) {
        this.#world.carry(this.#self, id, (handlers) => {
          if (handlers.isRemoved(this.#self)) {
            this.#world.refuse(id, this.#self);
          }
        });
      }
      this.#ping();
    });
  }

  setPeers(peers: readonly PeerAddress[]): void {
    this.#peers = peers;
  }

  send(to: MemberId, frame: OutgoingFrame): void {
    if (!this.#station.process.alive || !this.#mayReach(to)) {
      return;
    }
    if (this.#world.isCut(this.#self, to)) {
      this.#station.process.after(1, () => this.#station.handlers?.onUnreachable(to));
    }
    const bytes = new Uint8Array(Buffer.concat(frame.parts));
    const isRepeatable = this.#world.onSend(this.#self, to, frame.type, bytes);
    this.#world.carry(
      this.#self,
      to,
      (handlers) => {
        if (handlers.isRemoved(this.#self)) {
          this.#world.refuse(to, this.#self);
        } else {
          this.#world.met(this.#self, to);
          ignoringDecodeErrors(() => handlers.onFrame(this.#self, { type: frame.type, bytes }));
        }
      },
      isRepeatable,
    );
  }

  /** Whoever has called is answered on its own link, on the member list or not. */
  #mayReach(to: MemberId): boolean {
    const isPeer = this.#peers.some((peer) => peer.id === to);
    return isPeer || this.#station.callers.has(to);
  }

  request(to: MemberId, kind: number, body: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const timer = this.#station.process.clock.after(timeoutMs, () =>
        reject(new Error("the peer did not answer in time")),
      );
      this.#world.carry(this.#self, to, (handlers) => {
        handlers.onRequest(this.#self, kind, body).then(
          (answer) =>
            this.#world.carry(to, this.#self, () => {
              timer.cancel();
              resolve(answer);
            }),
          (error: unknown) =>
            this.#world.carry(to, this.#self, () => {
              timer.cancel();
              reject(error instanceof Error ? error : new Error(String(error)));
            }),
        );
      });
    });
  }

  async sendSnapshot(
    to: MemberId,
    header: Uint8Array,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const all: Uint8Array[] = [];
    for await (const chunk of chunks) {
      all.push(chunk);
    }
    this.#world.counters.transfers++;
    await new Promise<void>((resolve, reject) => {
      const timer = this.#station.process.clock.after(5_000, () =>
        reject(new Error("the transfer was not acknowledged")),
      );
      const answer = (settle: () => void): void =>
        this.#world.carry(to, this.#self, () => {
          timer.cancel();
          settle();
        });
      this.#world.carry(this.#self, to, (handlers) => {
        const arriving = this.#world.chunksArriving(this.#self, to, all.length);
        handlers.onSnapshot(this.#self, header, each(all, arriving)).then(
          () => answer(resolve),
          (error: unknown) =>
            answer(() => reject(error instanceof Error ? error : new Error(String(error)))),
        );
      });
    });
  }

  links(): readonly PeerLinkStatus[] {
    return this.#peers.map((peer) => ({
      id: peer.id,
      connected: !this.#world.isCut(this.#self, peer.id),
      roundTripMs: undefined,
      lastReceivedAtMs: undefined,
      queuedBytes: 0,
    }));
  }

  close(): Promise<void> {
    this.#world.detach(this.#self, this.#station);
    return Promise.resolve();
  }
}

/** The chunks, or a stream that breaks off after `arriving` of them. */
async function* each(chunks: readonly Uint8Array[], arriving: number): AsyncIterable<Uint8Array> {
  yield* chunks.slice(0, arriving);
  if (arriving < chunks.length) {
    throw new Error("the transfer broke off");
  }
}

/** A frame that does not parse drops the link, and nothing else. */
function ignoringDecodeErrors(run: () => void): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof DecodeError)) {
      throw error;
    }
  }
}
