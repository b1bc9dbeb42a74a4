// check perf and check datascale: whether the cluster keeps up with a load of some size, and how
// much memory it needs for one. The sizes and the limits are etcdctl's.

import { prefixRange } from "../../client/index.ts";
import { type Arguments, type Context, isSet, textFlag } from "./context.ts";
import { CommandError, exitCodes, orFail } from "./failure.ts";
import { goQuoteText } from "./go-text.ts";
import { type LoadResult, runLoad } from "./load.ts";
import { residentBytes } from "./member-metrics.ts";
import { checkStop } from "./session.ts";
import { boolFlag, type Verb, valueFlag } from "./verb.ts";

type Size = "s" | "m" | "l" | "xl";

const sizeNames: Readonly<Record<string, Size>> = {
  s: "s",
  small: "s",
  m: "m",
  medium: "m",
  l: "l",
  large: "l",
  xl: "xl",
  xLarge: "xl",
};

const perfSizes: Readonly<Record<Size, { readonly rate: number; readonly clients: number }>> = {
  s: { rate: 150, clients: 50 },
  m: { rate: 1_000, clients: 200 },
  l: { rate: 8_000, clients: 500 },
  xl: { rate: 15_000, clients: 1_000 },
};

const dataSizes: Readonly<Record<Size, { readonly count: number; readonly clients: number }>> = {
  s: { count: 10_000, clients: 50 },
  m: { count: 100_000, clients: 200 },
  l: { count: 1_000_000, clients: 500 },
  xl: { count: 3_000_000, clients: 1_000 },
};

const perfDurationMs = 60_000;
const perfPrefix = "/etcdctl-check-perf/";
const dataPrefix = "/etcdctl-check-datascale/";
/** What comes after the load may take longer than other calls. */
const afterTimeoutMs = 30_000;

/** A share of the rate below which the cluster fails, and seconds above which it does. */
const limits = { throughputMin: 0.9, slowestSeconds: 0.5, deviationSeconds: 0.1 };

function sizeOf(argv: Arguments): Size {
  const text = textFlag(argv, "load") || "s";
  const size = sizeNames[text];
  if (size === undefined) {
    throw new CommandError(
      exitCodes.badFeature,
      `unknown load option ${text}`,
      "--load is s, m, l or xl",
    );
  }
  return size;
}

/** The load must not mix with keys that are somebody's. */
async function mustBeEmpty(context: Context, prefix: string): Promise<void> {
  const { kvs } = await orFail(context.client.range({ ...prefixRange(prefix), limit: 1 }));
  if (kvs.length > 0) {
    throw new CommandError(
      exitCodes.invalidInput,
      `prefix ${goQuoteText(prefix)} has keys. Delete with etcdctl del --prefix ${prefix} first`,
    );
  }
}

/** Deletes what the load wrote, and compacts and defragments if that is asked for. */
async function cleanUp(context: Context, argv: Arguments, prefix: string): Promise<void> {
  const { client, io } = context;
  const options = { timeoutMs: afterTimeoutMs };
  const deleted = await orFail(client.deleteRange(prefixRange(prefix), options));
  const revision = deleted.header?.revision ?? 0;
  if (isSet(argv, "auto-compact")) {
    io.line(`Compacting with revision ${revision}`);
    await orFail(client.compact({ revision, physical: true }, options));
    io.line(`Compacted with revision ${revision}`);
  }
  if (isSet(argv, "auto-defrag")) {
    for (const endpoint of context.endpoints) {
      io.line(`Defragmenting ${goQuoteText(endpoint)}`);
      await orFail(client.defragment(endpoint, options));
      io.line(`Defragmented ${goQuoteText(endpoint)}`);
    }
  }
}

function printErrors(context: Context, { errors }: LoadResult): boolean {
  if (errors.size > 0) {
    context.io.line("FAIL: too many errors");
    for (const [text, count] of errors) {
      context.io.line(`FAIL: ERROR(${text}) -> ${count}`);
    }
  }
  return errors.size === 0;
}

/** Writes for `durationMs` at the rate of a size, and judges what came of it. */
export async function checkPerf(
  context: Context,
  argv: Arguments,
  durationMs = perfDurationMs,
): Promise<void> {
  const { rate, clients } = perfSizes[sizeOf(argv)];
  const prefix = textFlag(argv, "prefix") || perfPrefix;
  await mustBeEmpty(context, prefix);
  const stop = context.io.interruption();
  const expected = Math.round((rate * durationMs) / 1_000);
  const progress = context.progress("check perf");
  const result = await runLoad({
    client: context.client,
    prefix,
    keyBytes: 256,
    valueBytes: 1_024,
    concurrency: clients,
    rate,
    durationMs,
    stop,
    onWritten: (written) => progress.count(written, "writes", expected),
  });
  progress.end();
  await cleanUp(context, argv, prefix);
  checkStop(stop);
  if (!judge(context, result, rate)) {
    throw new CommandError(exitCodes.error, "");
  }
}

/** Prints how each limit is kept; whether all are. */
function judge(context: Context, result: LoadResult, rate: number): boolean {
  const { io } = context;
  const { paint } = io.terminal.output;
  const perSecond = result.writes / result.seconds;
  const said = (isGood: boolean, good: string, bad: string): boolean => {
    const text = isGood ? `PASS: ${good}` : bad;
    io.line(text.replace(/^(?:PASS|FAIL)/, (word) => paint(isGood ? "green" : "red", word)));
    return isGood;
  };
  const writes = `${Math.floor(perSecond) + 1} writes/s`;
  const slowest = `${result.slowestSeconds.toFixed(6)}s`;
  const deviation = `${result.deviationSeconds.toFixed(6)}s`;
  const all = [
    printErrors(context, result),
    said(
      perSecond / rate > limits.throughputMin,
      `Throughput is ${writes}`,
      `FAIL: Throughput too low: ${writes}`,
    ),
    said(
      result.slowestSeconds <= limits.slowestSeconds,
      `Slowest request took ${slowest}`,
      `Slowest request took too long: ${slowest}`,
    ),
    said(
      result.deviationSeconds <= limits.deviationSeconds,
      `Stddev is ${deviation}`,
      `Stddev too high: ${deviation}`,
    ),
  ].every(Boolean);
  io.line(all ? paint("green", "PASS") : paint("red", "FAIL"));
  return all;
}

async function checkDatascale(context: Context, argv: Arguments): Promise<void> {
  const { count, clients } = dataSizes[sizeOf(argv)];
  const prefix = textFlag(argv, "prefix") || dataPrefix;
  const [endpoint = ""] = context.endpoints;
  await mustBeEmpty(context, prefix);
  const before = await residentBytes(context.connection, endpoint);
  context.io.line(
    `Start data scale check for work load [${count} key-value pairs, 1024 bytes per key-value, ` +
      `${clients} concurrent clients].`,
  );
  const stop = context.io.interruption();
  const progress = context.progress("check datascale");
  const result = await runLoad({
    client: context.client,
    prefix,
    keyBytes: 512,
    valueBytes: 512,
    concurrency: clients,
    count,
    stop,
    onWritten: (written) => progress.count(written, "keys", count),
  });
  progress.end();
  const after = await residentBytes(context.connection, endpoint);
  await cleanUp(context, argv, prefix);
  checkStop(stop);
  if (!printErrors(context, result)) {
    throw new CommandError(exitCodes.error, "");
  }
  const megabytes = ((after - before) / 2 ** 20).toFixed(2);
  context.io.line(`PASS: Approximate system memory used : ${megabytes} MB.`);
}

const checkFlags = (prefix: string): Verb["flags"] => [
  valueFlag("load", "How much: s(mall), m(edium), l(arge) or xl", { default: "s" }),
  valueFlag("prefix", "What the keys that are written begin with", { default: prefix }),
  boolFlag("auto-compact", "Compact when it is done"),
  boolFlag("auto-defrag", "Defragment when it is done"),
];

export const checkVerbs: readonly Verb[] = [
  {
    name: "check perf",
    usage: "",
    doc: "Write for a minute, and say whether the cluster is fast enough for a load",
    examples: ["check perf --load=m"],
    flags: checkFlags(perfPrefix),
    run: checkPerf,
  },
  {
    name: "check datascale",
    usage: "",
    doc: "Write many keys to see how much memory a member needs for them",
    examples: ["check datascale --load=s --auto-compact"],
    flags: checkFlags(dataPrefix),
    run: checkDatascale,
  },
];
