// A cluster of members in this process, and what a test may do to it.

import { silentLogger } from "../base/index.ts";
import type { NodeStatus } from "../server/index.ts";
import { freePorts } from "./free-ports.ts";
import { Links } from "./links.ts";
import { TestMember, type TestNodeOptions } from "./member.ts";

const startAttemptsMax = 5;
const leaderWaitMs = 20_000;
const pollMs = 10;

export class TestCluster implements AsyncDisposable {
  /** Named "n1", "n2" and so on. */
  readonly members: readonly TestMember[];
  readonly #links: Links;

  /** Made by startTestCluster. */
  constructor(members: readonly TestMember[], links: Links) {
    this.members = members;
    this.#links = links;
  }

  /** Of all members, running or not. */
  get clientUrls(): string[] {
    return this.members.map((member) => member.clientUrl);
  }

  /** The same without a scheme. */
  get endpoints(): string[] {
    return this.members.map((member) => member.endpoint);
  }

  /**
   * The member that leads and that a majority follows; waits for one, 20 s at most. A leader that
   * has just been cut off is not one, whatever it believes.
   */
  async leader(): Promise<TestMember> {
    const end = performance.now() + leaderWaitMs;
    for (;;) {
      const leader = this.#leaderNow();
      if (leader !== undefined) {
        return leader;
      }
      if (performance.now() > end) {
        throw new Error("the cluster has no leader that a majority follows");
      }
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  /** Kills the leader and resolves with it. */
  async killLeader(): Promise<TestMember> {
    const leader = await this.leader();
    await leader.kill();
    return leader;
  }

  /**
   * Cuts the links between the groups, both ways and silently; members of no group make one of
   * their own. Clients still reach every member. Replaces an earlier partition.
   */
  partition(...groups: readonly (readonly TestMember[])[]): void {
    const named = new Set(groups.flat());
    const rest = this.members.filter((member) => !named.has(member));
    this.#links.partition([...groups, rest].map((group) => group.map(({ name }) => name)));
  }

  /** Cuts the links of one member, or of the leader if none is given; resolves with it. */
  async isolate(member?: TestMember): Promise<TestMember> {
    const chosen = member ?? (await this.leader());
    this.partition([chosen]);
    return chosen;
  }

  heal(): void {
    this.#links.heal();
  }

  /** Ends all members at once; their data is gone. */
  async close(): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #leaderNow(): TestMember | undefined {
    const running = this.members
      .filter((member) => member.running)
      .map((member): [TestMember, NodeStatus] => [member, member.status()]);
    return running.find(([member, { isLeader, memberId, term }]) => {
      const followers = running.filter(
        ([follower, status]) =>
          !this.#links.isCut(member.name, follower.name) &&
          status.leader === memberId &&
          status.term === term,
      );
      return isLeader && followers.length > this.members.length / 2;
    })?.[0];
  }
}

/**
 * A cluster in memory on free loopback ports, ready to serve, usually within half a second.
 * `await using` ends it.
 */
export async function startTestCluster(
  size = 3,
  options: TestNodeOptions = {},
): Promise<TestCluster> {
  if (!Number.isSafeInteger(size) || size < 1) {
    throw new RangeError(`a cluster has at least one member (not ${size})`);
  }
  for (let attempt = 1; ; attempt++) {
    const cluster = await makeCluster(size, options);
    try {
      await Promise.all(cluster.members.map((member) => member.start()));
      return cluster;
    } catch (error) {
      await cluster.close();
      // Somebody else took a port between finding and using it.
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code !== "EADDRINUSE" || attempt === startAttemptsMax) {
        throw error;
      }
    }
  }
}

/** One member in memory on a free loopback port, ready to serve. `await using` ends it. */
export async function startTestNode(options: TestNodeOptions = {}): Promise<TestMember> {
  const { members } = await startTestCluster(1, options);
  return members[0] as TestMember;
}

async function makeCluster(size: number, options: TestNodeOptions): Promise<TestCluster> {
  const ports = await freePorts(2 * size);
  const names = Array.from({ length: size }, (_, i) => `n${i + 1}`);
  const peerPorts = ports.slice(size);
  const members = Object.fromEntries(
    names.map((name, i) => [name, `http://127.0.0.1:${peerPorts[i]}`]),
  );
  const links = new Links(new Map(names.map((name, i) => [peerPorts[i] ?? 0, name])));
  const logger = options.logger ?? silentLogger;
  return new TestCluster(
    names.map(
      (name, i) =>
        new TestMember({ name, clientPort: ports[i] ?? 0, members }, options, logger, links),
    ),
    links,
  );
}
