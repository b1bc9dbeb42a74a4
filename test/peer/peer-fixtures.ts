// Members on loopback for the tests of the links between them.

import { connect } from "node:net";
import type { Socket } from "node:net";
import { once } from "node:events";
import { expect, onTestFinished, vi } from "vitest";
import { SeededRng, fromUtf8, silentLogger, utf8 } from "../../src/base/index.ts";
import type { Clock, ClusterId, MemberId } from "../../src/base/index.ts";
import type {
  OutgoingFrame,
  PeerHandlers,
  PeerMetrics,
  PeerTransport,
  RefusalReason,
} from "../../src/peer/index.ts";
import { TcpPeerNetwork, silentPeerMetrics } from "../../src/peer/index.ts";

export const clusterId = 0xc1n as ClusterId;

export const testClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  soon: (callback) => void setImmediate(callback),
};

export interface TestMember {
  readonly id: MemberId;
  readonly network: TcpPeerNetwork;
  readonly url: string;
  /** Frames received, as `from:type:text`. */
  readonly frames: string[];
  readonly unreachable: MemberId[];
  readonly refused: RefusalReason[];
  readonly removed: Set<MemberId>;
  readonly counts: Record<keyof PeerMetrics, number>;
  handlers: PeerHandlers;
}

export function frame(text: string, type = 1, droppable = false): OutgoingFrame {
  return { type, parts: [utf8(text)], droppable };
}

function countingMetrics(counts: TestMember["counts"]): PeerMetrics {
  const metrics = { ...silentPeerMetrics };
  for (const name of Object.keys(metrics) as (keyof PeerMetrics)[]) {
    counts[name] = 0;
    metrics[name] = () => {
      counts[name]++;
    };
  }
  return metrics;
}

export async function startMember(
  id: number,
  options: {
    clusterId?: ClusterId;
    overrides?: Partial<PeerHandlers>;
    port?: number;
    scheme?: "http" | "https";
    transport?: PeerTransport;
  } = {},
): Promise<TestMember> {
  const counts = {} as TestMember["counts"];
  const { scheme = "http" } = options;
  const memberId = BigInt(id) as MemberId;
  const network = new TcpPeerNetwork({
    clusterId: options.clusterId ?? clusterId,
    memberId,
    listenUrls: [`${scheme}://127.0.0.1:${options.port ?? 0}`],
    transport: options.transport,
    clock: testClock,
    rng: new SeededRng(id),
    logger: silentLogger,
    metrics: countingMetrics(counts),
  });
  const frames: string[] = [];
  const unreachable: MemberId[] = [];
  const refused: RefusalReason[] = [];
  const removed = new Set<MemberId>();
  const handlers: PeerHandlers = {
    onFrame: (from, { type, bytes }) => frames.push(`${from}:${type}:${fromUtf8(bytes)}`),
    onRequest: (from, kind, body) => Promise.resolve(utf8(`${from}:${kind}:${fromUtf8(body)}`)),
    onSnapshot: () => Promise.reject(new Error("no snapshots here")),
    onUnreachable: (to) => unreachable.push(to),
    onRefused: (_to, reason) => refused.push(reason),
    isRemoved: (from) => removed.has(from),
    ...options.overrides,
  };
  await network.start(handlers);
  onTestFinished(() => network.close());
  const url = `${scheme}://127.0.0.1:${network.ports[0]}`;
  return { id: memberId, network, url, frames, unreachable, refused, removed, counts, handlers };
}

/** Tells each member of all others. */
export function introduce(...members: readonly TestMember[]): void {
  for (const member of members) {
    member.network.setPeers(
      members.filter((m) => m !== member).map(({ id, url }) => ({ id, urls: [url] })),
    );
  }
}

export async function connected(member: TestMember, to: TestMember): Promise<void> {
  await until(() => member.network.links().some((link) => link.id === to.id && link.connected));
}

export async function until(condition: () => boolean): Promise<void> {
  await vi.waitFor(() => expect(condition()).toBe(true), { timeout: 10_000, interval: 5 });
}

/** A bare socket to a member, for saying what no member would say. */
export async function rawSocket(url: string): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port: Number(new URL(url).port) });
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  return socket;
}
