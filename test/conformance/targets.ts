// What the conformance cases run against: a single node, and a leader and a follower of three, as
// real processes. A file starts them once and shares them between its cases.

import { afterAll, beforeAll, vi } from "vitest";
import { ClusterProcesses, type MemberProcess } from "../support/processes.ts";
import { RawClient } from "./raw-client.ts";

export const roles = ["one node", "leader of three", "follower of three"] as const;
export type Role = (typeof roles)[number];

export interface Target {
  readonly role: Role;
  readonly endpoint: string;
  /** All members of its cluster, this one first. */
  readonly endpoints: readonly string[];
  readonly size: 1 | 3;
  readonly client: RawClient;
}

/** Who leads, once all members agree on it. */
export async function leaderOf(cluster: ClusterProcesses): Promise<MemberProcess> {
  const endMs = performance.now() + 20_000;
  const running = cluster.members.filter((member) => member.running);
  const clients = running.map((member) => new RawClient(member.endpoint));
  try {
    while (performance.now() < endMs) {
      const statuses = await Promise.all(
        clients.map((client) => client.call("status", {}, { deadlineMs: 2_000 }).catch(() => null)),
      );
      const leaders = new Set(statuses.map((status) => status?.leader ?? 0n));
      const [leader] = leaders;
      const index = statuses.findIndex((status) => status?.header?.memberId === leader);
      const member = running[index];
      if (leaders.size === 1 && member !== undefined) {
        return member;
      }
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  } finally {
    for (const client of clients) {
      client[Symbol.dispose]();
    }
  }
  throw new Error(`no leader:\n${running.map((member) => member.log).join("\n")}`);
}

/** Starts one node and three before the cases of this file, and stops them after. */
export function useTargets(flags: readonly string[] = []): (role: Role) => Target {
  const targets = new Map<Role, Target>();
  const clusters: ClusterProcesses[] = [];
  beforeAll(async () => {
    const [one, three] = await Promise.all([
      ClusterProcesses.start(1, flags),
      ClusterProcesses.start(3, flags),
    ]);
    clusters.push(one, three);
    const leader = await leaderOf(three);
    const follower = three.members.find((member) => member !== leader) ?? leader;
    targets.set("one node", makeTarget("one node", one, one.endpoints[0] ?? ""));
    targets.set("leader of three", makeTarget("leader of three", three, leader.endpoint));
    targets.set("follower of three", makeTarget("follower of three", three, follower.endpoint));
  });
  afterAll(async () => {
    for (const { client } of targets.values()) {
      client[Symbol.dispose]();
    }
    await Promise.all(clusters.map((cluster) => cluster[Symbol.asyncDispose]()));
  });
  return (role) => {
    const target = targets.get(role);
    if (target === undefined) {
      throw new Error(`${role} was not started`);
    }
    return target;
  };
}

function makeTarget(role: Role, cluster: ClusterProcesses, endpoint: string): Target {
  return {
    role,
    endpoint,
    endpoints: [endpoint, ...cluster.endpoints.filter((other) => other !== endpoint)],
    size: cluster.members.length === 1 ? 1 : 3,
    client: new RawClient(endpoint),
  };
}

let keysMade = 0;

/** A prefix of keys that no other case uses. */
export function freshPrefix(name: string): string {
  keysMade++;
  return `${name}-${keysMade}/`;
}

/** Resolves once `check` finds what `read` gives right; rejects as the check does when it is late. */
export async function eventually<T>(
  read: () => T | Promise<T>,
  check: (value: T) => void,
  timeoutMs = 10_000,
): Promise<void> {
  await vi.waitFor(async () => check(await read()), { timeout: timeoutMs, interval: 25 });
}
