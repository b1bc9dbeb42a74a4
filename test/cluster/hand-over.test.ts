// A leader that is told to stop: writes go on, and those that it had taken are answered.

import { afterAll, beforeAll, expect, test } from "vitest";
import { KvClient } from "../support/kv-client.ts";
import { ClusterProcesses, type MemberProcess } from "../support/processes.ts";

const writersPerMember = 10;
const rounds = 4;
/** An election timeout: what writers would wait for if nothing was handed over. */
const electionTimeoutMs = 1_000;

let cluster: ClusterProcesses;
let clients: KvClient[];
beforeAll(async () => {
  cluster = await ClusterProcesses.start(3);
  clients = cluster.endpoints.map((endpoint) => new KvClient(endpoint));
}, 60_000);
afterAll(async () => {
  for (const client of clients) {
    client.close();
  }
  await cluster[Symbol.asyncDispose]();
});

async function leader(): Promise<MemberProcess> {
  for (;;) {
    for (const [i, client] of clients.entries()) {
      const status = await client.status().catch(() => undefined);
      if (status !== undefined && status.header?.memberId === status.leader) {
        return cluster.members[i] as MemberProcess;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Writes on one member until told to stop; tells when each write was acknowledged, or why not. */
async function write(
  client: KvClient,
  key: string,
  state: { running: boolean },
  acknowledgedMs: number[],
  failures: Set<string>,
): Promise<void> {
  while (state.running) {
    try {
      await client.put(key, "v".repeat(100), 10_000);
      acknowledgedMs.push(performance.now());
    } catch (error) {
      failures.add(String(error).replace(/127\.0\.0\.1:\d+/g, "ADDRESS"));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

test("writes hardly pause when a leader is stopped, and none that it took is left unanswered", async () => {
  const state = { running: true };
  const acknowledgedMs: number[] = [];
  const failures = new Set<string>();
  const writers = clients.flatMap((client, i) =>
    Array.from({ length: writersPerMember }, (_, j) =>
      write(client, `k${i}-${j}`, state, acknowledgedMs, failures),
    ),
  );
  const gapsMs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const before = acknowledgedMs.length;
    await expect
      .poll(() => acknowledgedMs.length, { timeout: 20_000 })
      .toBeGreaterThan(before + 200);
    const leaving = await leader();
    const fromMs = performance.now();
    await leaving.stop("SIGTERM");
    await new Promise((resolve) => setTimeout(resolve, 300));
    const times = [fromMs, ...acknowledgedMs.filter((ms) => ms > fromMs), performance.now()];
    gapsMs.push(Math.max(...times.slice(1).map((ms, i) => ms - (times[i] ?? 0))));
    await leaving.start();
  }
  state.running = false;
  await Promise.all(writers);
  const median = gapsMs.toSorted((a, b) => a - b)[Math.floor(gapsMs.length / 2)] ?? 0;
  process.stdout.write(`longest gaps: ${gapsMs.map(Math.round).join(", ")} ms\n`);
  expect(median).toBeLessThan(electionTimeoutMs);
  // A member that is gone refuses connections; nothing else is said to anybody.
  const others = [...failures].filter(
    (text) => !/No connection established|ECONNREFUSED|ECONNRESET/.test(text),
  );
  expect(others).toEqual([]);
}, 120_000);
