// Many clients doing everything at once, from a seed: each call gets its own answer, ends exactly
// once, and leaves nothing behind.

import { status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { fromUtf8, SeededRng, utf8 } from "../../src/base/index.ts";
import { collect, failureOf, type RawClient, startServer, until } from "./harness.ts";

const seed = Number(process.env["SOAK_SEED"] ?? Date.now() % 1_000_000);
const calls = 1_500;

test(`calls of every kind, seed ${seed}`, async () => {
  const server = await startServer("direct", { concurrentStreamsMax: 4_096 });
  const rng = new SeededRng(seed);
  const windows = [65_535, 1_000_000, 0x7fff_ffff, 65_535];
  const clients = windows.map((window) =>
    server.client({ "grpc-node.flow_control_window": window }),
  );
  const counts: Record<string, number> = {};
  const kinds: readonly ((client: RawClient, size: number) => Promise<void>)[] = [
    async (client, size) => {
      const body = new Uint8Array(size).fill(size % 251);
      expect(Buffer.compare(await client.unary("Unary", body), body)).toBe(0);
    },
    async (client, size) => {
      const body = new Uint8Array(size).fill(size % 241);
      expect(Buffer.compare(await client.unary("Later", body), body)).toBe(0);
    },
    async (client, size) => {
      const error = await failureOf(client.unary("FailLater", `5:error ${size}`));
      expect([error.code, error.details]).toEqual([status.NOT_FOUND, `error ${size}`]);
    },
    async (client, size) => {
      const stream = client.stream("Download");
      const done = collect(stream);
      stream.write(utf8(`${size % 40}:${size % 5_000}`));
      stream.end();
      const { messages, code } = await done;
      expect([code, messages.length]).toEqual([status.OK, size % 40]);
      expect(messages.every((message) => message.length === size % 5_000)).toBe(true);
    },
    async (client, size) => {
      const stream = client.stream("Upload");
      const done = collect(stream);
      const count = size % 50;
      for (let i = 0; i < count; i++) {
        stream.write(new Uint8Array(size % 3_000));
      }
      stream.end();
      expect((await done).messages.map(fromUtf8)).toEqual([`${count}:${count * (size % 3_000)}`]);
    },
    async (client, size) => {
      const stream = client.stream("Download");
      const done = collect(stream);
      stream.write(utf8(`100:${size}`));
      setTimeout(() => stream.cancel(), size % 20);
      expect([status.CANCELLED, status.OK]).toContain((await done).code);
    },
    async (client, size) => {
      const deadline = Date.now() + (size % 60);
      const error = await failureOf(client.unary("Hang", "x", { deadline }));
      expect(error.code).toBe(status.DEADLINE_EXCEEDED);
    },
  ];
  const running = new Set<Promise<void>>();
  for (let i = 0; i < calls; i++) {
    const kind = rng.below(kinds.length);
    const size = rng.below(10) === 0 ? rng.below(400_000) : rng.below(3_000);
    const client = clients[rng.below(clients.length)];
    const call = kinds[kind];
    if (client === undefined || call === undefined) {
      throw new Error("out of range");
    }
    counts[kind] = (counts[kind] ?? 0) + 1;
    const one = call(client, size).finally(() => running.delete(one));
    running.add(one);
    if (running.size >= 100) {
      await Promise.race(running);
    }
  }
  await Promise.all(running);
  // A call whose deadline passed before it was sent never came here.
  await until(() => server.seen.ended.length > calls - (counts[6] ?? 0));
  await until(() => server.seen.calls.every((call) => call.cancelled));
  const count = (path: string): number =>
    server.seen.ended.filter((end) => end.path === `/test.Echo/${path}`).length;
  expect(count("Unary")).toBe(counts[0]);
  expect(count("Later")).toBe(counts[1]);
  expect(count("FailLater")).toBe(counts[2]);
  expect(count("Upload")).toBe(counts[4]);
  expect(Math.min(...Object.values(counts))).toBeGreaterThan(100);
  await server.close();
});
