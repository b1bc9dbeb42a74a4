// Against what is possible: puts beside the same log writes with no store behind them, the
// transport's echo beside the rate at which h2load itself gives up, and the load generator beside
// h2load.

import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { emptyBytes, type LogIndex, noMember, type Term } from "../src/base/index.ts";
import { clientPortLimits, ClientPort, createGrpcServer } from "../src/grpc/index.ts";
import { createWal, openWal } from "../src/storage/index.ts";
import { RangeRequest } from "../src/wire/index.ts";
import { median, systemNames } from "./measure.ts";
import { rowNamed } from "./rows.ts";
import { freePort, System } from "./systems.ts";
import { fill, keyOf } from "./workloads.ts";

const run = promisify(execFile);
const entryBytes = 330;

export interface LimitFigures {
  /** Puts of one member, and the log alone writing as many entries a write. */
  readonly log: readonly {
    readonly inFlight: number;
    readonly putsPerSecond: number;
    readonly entriesPerWrite: number;
    readonly logEntriesPerSecond: number;
  }[];
  /** h2load's rates; undefined where a tool is missing. */
  readonly h2load:
    | {
        readonly ownCeilingPerSecond: number;
        readonly echoPerSecond: number;
        readonly linearizableRangePerSecond: Readonly<Record<string, number>>;
      }
    | undefined;
}

export async function measureLimits(rounds: number, seconds: number): Promise<LimitFigures> {
  const log = [];
  for (const inFlight of [1, 100, 1000]) {
    process.stderr.write(`1 node: put, ${inFlight} beside the log alone\n`);
    log.push(await besideLog(inFlight, rounds, seconds));
  }
  return {
    log,
    h2load: (await has("h2load")) && (await has("nghttpd")) ? await h2load() : undefined,
  };
}

async function besideLog(
  inFlight: number,
  rounds: number,
  seconds: number,
): Promise<LimitFigures["log"][number]> {
  const system = await System.start("quorate", 1);
  const puts: number[] = [];
  const alone: number[] = [];
  let entriesPerWrite = 1;
  try {
    await fill(system.endpoints, 100_000);
    for (let round = 0; round < rounds; round++) {
      const before = await logWrites(system);
      const result = await rowNamed(`put, ${inFlight}`).run(system.endpoints, 100_000, seconds);
      const writes = (await logWrites(system)) - before;
      puts.push(result.perSecond);
      entriesPerWrite = Math.max(1, Math.round(result.requests / Math.max(1, writes)));
      alone.push(await logAlone(entriesPerWrite, seconds));
    }
  } finally {
    await system.stop();
  }
  return {
    inFlight,
    putsPerSecond: median(puts),
    entriesPerWrite,
    logEntriesPerSecond: median(alone),
  };
}

async function logWrites(system: System): Promise<number> {
  const reply = await fetch(`http://${system.endpoints[0]}/metrics`);
  const found = /^etcd_disk_wal_fsync_duration_seconds_count (\d+)/m.exec(await reply.text());
  return Number(found?.[1]);
}

/** Entries a second when every write carries `entriesPerWrite` of them and nothing else is done. */
async function logAlone(entriesPerWrite: number, seconds: number): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), "bench-log-"));
  try {
    const identity = { clusterId: 1n, memberId: 1n } as never;
    await createWal(join(directory, "wal"), { identity, salt: 1 });
    const { wal } = await openWal(join(directory, "wal"));
    const data = new Uint8Array(entryBytes).fill(120);
    let index = 0;
    const startMs = performance.now();
    while (performance.now() - startMs < seconds * 1000) {
      const entries = Array.from({ length: entriesPerWrite }, () => ({
        index: ++index as LogIndex,
        term: 1 as Term,
        kind: "command" as const,
        data,
      }));
      const hardState = { term: 1 as Term, vote: noMember, commit: (index - 1) as LogIndex };
      await wal.append({ hardState, entries, snapshot: undefined });
    }
    const elapsed = (performance.now() - startMs) / 1000;
    await wal.close();
    return index / elapsed;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function h2load(): Promise<LimitFigures["h2load"]> {
  const directory = await mkdtemp(join(tmpdir(), "bench-h2load-"));
  try {
    process.stderr.write("h2load: its own ceiling, the transport's echo, one key\n");
    const message = RangeRequest.encode(RangeRequest.create({ key: keyOf(0) }));
    const request = join(directory, "request");
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.length, 1);
    await writeFile(request, Buffer.concat([head, message]));
    const range: Record<string, number> = {};
    for (const name of systemNames) {
      const system = await System.start(name, 3);
      try {
        await fill(system.endpoints, 1000);
        const url = `http://${system.endpoints[0]}/etcdserverpb.KV/Range`;
        range[name] = await rate([...grpcOptions, "-d", request, url]);
      } finally {
        await system.stop();
      }
    }
    return {
      ownCeilingPerSecond: await ceiling(directory),
      echoPerSecond: await echo(request),
      linearizableRangePerSecond: range,
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const grpcOptions = ["-H", "content-type: application/grpc", "-H", "te: trailers"];

/** The median of three runs, 100 in flight over 10 connections. */
async function rate(options: readonly string[]): Promise<number> {
  const rates: number[] = [];
  for (let i = 0; i < 3; i++) {
    const { stdout } = await run("h2load", ["-n50000", "-c10", "-m10", ...options]);
    rates.push(Number(/finished in [^,]+, ([\d.]+) req\/s/.exec(stdout)?.[1]));
  }
  return median(rates);
}

/** nghttpd, of the same library, serving a small file. */
async function ceiling(directory: string): Promise<number> {
  await writeFile(join(directory, "small"), "x".repeat(64));
  const port = await freePort();
  const server = spawn("nghttpd", ["--no-tls", "-d", directory, String(port)], { stdio: "ignore" });
  try {
    await new Promise((resolve) => setTimeout(resolve, 500));
    return await rate([`http://127.0.0.1:${port}/small`]);
  } finally {
    server.kill("SIGKILL");
  }
}

/** The gRPC server of src/grpc with nothing behind it. It runs here: only h2load is beside it. */
async function echo(request: string): Promise<number> {
  const grpc = createGrpcServer("direct", {
    receiveMessageBytesMax: 1 << 20,
    concurrentStreamsMax: 1000,
    keepAliveMinTimeMs: 0,
    keepAliveIntervalMs: 7_200_000,
    keepAliveTimeoutMs: 20_000,
  });
  const handle = (bytes: Uint8Array): Uint8Array => (bytes.length === 0 ? emptyBytes : bytes);
  grpc.register({ name: "bench.Echo", methods: { Echo: { kind: "unary", handle } } });
  const port = new ClientPort({ ...clientPortLimits, grpc, http: createServer(), tls: undefined });
  const address: AddressInfo = await port.listen({
    host: "127.0.0.1",
    port: 0,
    plaintext: true,
    tls: false,
  });
  try {
    const url = `http://127.0.0.1:${address.port}/bench.Echo/Echo`;
    return await rate([...grpcOptions, "-d", request, url]);
  } finally {
    await port.close(0);
  }
}

async function has(tool: string): Promise<boolean> {
  return run(tool, ["--version"]).then(
    () => true,
    () => false,
  );
}
