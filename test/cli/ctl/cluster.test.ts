// What needs more than one member: leadership, membership, endpoints that do not answer. Both
// programs do the same to the same three members.

import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Client, connect } from "../../../src/client/index.ts";
import { ClusterProcesses } from "../../support/processes.ts";
import { freePorts } from "../../support/ports.ts";
import { etcdctl, hasEtcdctl, type Outcome, quoratectl } from "./both.ts";
import { everyForm } from "./rows.ts";

let cluster: ClusterProcesses;
let client: Client;

beforeAll(async () => {
  cluster = await ClusterProcesses.start(3);
  client = connect({ endpoints: cluster.endpoints });
});
afterAll(async () => {
  client?.close();
  await cluster?.[Symbol.asyncDispose]();
});

const tools = [etcdctl, quoratectl] as const;

function at(endpoints: readonly string[]) {
  return { env: { ETCDCTL_ENDPOINTS: endpoints.join(",") } };
}

/** Ids of members in hex and as numbers, sizes on disk, and how long things took. */
function withoutIds({ exit, out, err }: Outcome): Outcome {
  const settle = (text: string): string =>
    text
      .replaceAll(/\b[0-9a-f]{15,16}\b|(?<="(?:ID|member_id|MemberID)"(?: : |:))\d+/g, "ID")
      .replaceAll(/\d+(?:\.\d+)?(?:m|µ|Âµ)?s\b/g, "T")
      .replaceAll(/\d+(?:\.\d+)? [kM]?B\b/g, "SIZE")
      .replaceAll(/([ -])\1+/g, "$1");
  return { exit, out: settle(out), err: settle(err) };
}

/** Members are asked at the same time: etcdctl prints them as they answer. */
function sorted(outcome: Outcome): unknown {
  const { exit, out, err } = withoutIds(outcome);
  const parts = (text: string): string[] => text.split(/\n|(?<=\}),|[[\]]/).sort();
  return { exit, out: parts(out), err: parts(err) };
}

async function leaderAndOther(): Promise<{ leader: bigint; other: bigint; leads: string }> {
  for (const endpoint of cluster.endpoints) {
    const { leader, header } = await client.status(endpoint);
    if (leader === header?.memberId) {
      const { members } = await client.memberList({});
      const other = members.find(({ id }) => id !== leader)?.id ?? 0n;
      return { leader, other, leads: endpoint };
    }
  }
  throw new Error("no member says that it leads");
}

async function settledLeader() {
  return await expect
    .poll(() => leaderAndOther().catch(() => undefined), { timeout: 20_000 })
    .toBeDefined()
    .then(() => leaderAndOther());
}

describe.skipIf(!hasEtcdctl)("on three members", () => {
  it("moves leadership", async () => {
    const outcomes: Outcome[] = [];
    for (const tool of tools) {
      const { other } = await settledLeader();
      const target = other.toString(16);
      outcomes.push(withoutIds(await tool(["move-leader", target], at(cluster.endpoints))));
      await expect
        .poll(async () => (await settledLeader()).leader, { timeout: 20_000 })
        .toBe(other);
    }
    expect(outcomes[1]).toEqual(outcomes[0]);
    expect(outcomes[1]?.out).toBe("Leadership transferred from ID to ID\n");
  });

  it("moves none without the leader's endpoint", async () => {
    const { leads, other } = await settledLeader();
    const followers = at(cluster.endpoints.filter((endpoint) => endpoint !== leads));
    const args = ["move-leader", other.toString(16)];
    expect(await quoratectl(args, followers)).toEqual(etcdctl(args, followers));
  });

  it.each(everyForm.filter((form) => form !== "protobuf"))(
    "adds, updates, promotes and removes members, as %s",
    async (form) => {
      const outcomes = await inTurn(async (tool) => {
        // An id is made of its addresses and the second: not again those that were removed.
        const [port = 0, another = 0] = await freePorts(2);
        const run = async (...args: string[]): Promise<Outcome> => {
          const { out, ...rest } = await tool([...args, "-w", form], at(cluster.endpoints));
          const known = out.replaceAll(String(port), "PORT").replaceAll(String(another), "PORT");
          return withoutIds({ ...rest, out: known });
        };
        const url = (which: number): string => `--peer-urls=http://127.0.0.1:${which}`;
        const added = await run("member", "add", "new", url(port), "--learner");
        const { members } = await client.memberList({ linearizable: true });
        const id = members.find(({ name }) => name === "")?.id.toString(16) ?? "";
        const updated = await run("member", "update", id, url(another));
        const promoted = await run("member", "promote", id);
        const listed = await run("member", "list");
        const removed = await run("member", "remove", id);
        await expect
          .poll(async () => (await client.memberList({ linearizable: true })).members.length)
          .toBe(3);
        // Members stand in the order of their ids, of which one is new each time.
        return [added, updated, promoted, listed, removed].map((outcome) => ({
          ...outcome,
          out: outcome.out.split(/[\n,[\]"=]/).sort(),
        }));
      });
      expect(outcomes[1]).toEqual(outcomes[0]);
    },
    60_000,
  );

  it.each(["endpoint status", "endpoint hashkv", "endpoint health"])(
    "%s of the cluster",
    async (command) => {
      const { leads } = await settledLeader();
      for (const form of everyForm) {
        const args = [...command.split(" "), "--cluster", "-w", form];
        const compare = async (): Promise<void> =>
          expect(sorted(await quoratectl(args, at([leads])))).toEqual(
            sorted(etcdctl(args, at([leads]))),
          );
        // Sizes on disk may change between the two; then they are asked again.
        await vi.waitFor(compare, { timeout: 20_000, interval: 100 });
      }
    },
    60_000,
  );
});

describe.skipIf(!hasEtcdctl)("with an endpoint where nobody listens", () => {
  it.each([
    ["endpoint status", 1],
    ["endpoint health", 1],
    ["endpoint hashkv", 1],
    ["defrag", 1],
    ["get a", 0],
    ["put a 1", 0],
  ])("%s", async (command, exit) => {
    const [port = 0] = await freePorts(1);
    const endpoints = at([`127.0.0.1:${port}`, cluster.endpoints[0] ?? ""]);
    const args = [...command.split(" "), "--command-timeout=2s"];
    const settle = (outcome: Outcome): unknown => {
      // etcdctl 3.4 forgets a line end.
      const err = outcome.err.replace(/(exceeded)(?=\S)/, "$1\n");
      return sorted({ ...outcome, err });
    };
    const ours = await quoratectl(args, endpoints);
    expect(ours.exit).toBe(exit);
    if (command === "get a" || command === "put a 1") {
      expect(ours).toMatchObject({ exit, err: "" });
    } else {
      expect(settle(ours)).toEqual(settle(etcdctl(args, endpoints)));
    }
  });
});

type Both = readonly [unknown, unknown];

/** What each of the two gives, one after the other. */
async function inTurn(play: (tool: (typeof tools)[number]) => Promise<unknown>): Promise<Both> {
  const theirs = await play(tools[0]);
  return [theirs, await play(tools[1])];
}
