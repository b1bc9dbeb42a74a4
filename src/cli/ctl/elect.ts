// elect: stands for an election and leads until it is interrupted, or watches who leads.

import { type Client, prefixRange } from "../../client/index.ts";
import {
  type KeyValue,
  RangeRequestSortOrder,
  RangeRequestSortTarget,
  RangeResponse,
  type ResponseHeader,
} from "../../wire/index.ts";
import { type Arguments, type Context, isSet, positionals } from "./context.ts";
import { CommandError, exitCodes, orFail } from "./failure.ts";
import { bytesOf } from "./raw-text.ts";
import { awaitTurn, checkStop, enter, firstOf, Session } from "./session.ts";
import { boolFlag, type Verb } from "./verb.ts";

const ttlSeconds = 60;

async function elect(context: Context, argv: Arguments): Promise<void> {
  const [name, proposal, ...rest] = positionals(argv);
  const listen = isSet(argv, "listen");
  const bad = (message: string): CommandError => new CommandError(exitCodes.badArguments, message);
  if (name === undefined || rest.length > 0) {
    throw bad("elect takes one election name argument and an optional proposal argument");
  }
  if (proposal === undefined) {
    if (!listen) {
      throw bad("no proposal argument but -l not set");
    }
    return observe(context, name);
  }
  if (listen) {
    throw bad("proposal given but -l is set");
  }
  return campaign(context, name, proposal);
}

async function campaign(context: Context, name: string, proposal: string): Promise<void> {
  const printer = context.printer();
  const { client } = context;
  await using session = await orFail(Session.open(client, ttlSeconds));
  const interruption = context.io.interruption();
  const place = await orFail(enter(client, session, name, bytesOf(proposal)));
  try {
    const stop = AbortSignal.any([interruption, session.over]);
    await orFail(awaitTurn(client, name, place, stop)).catch((error: unknown) => {
      checkStop(interruption);
      throw error;
    });
    printer.get(await orFail(client.range({ key: place.key })));
    await firstOf(stop);
    if (!interruption.aborted) {
      throw new CommandError(exitCodes.error, "elect: session expired");
    }
  } finally {
    await client.deleteRange({ key: place.key }).catch(() => {});
  }
}

async function observe(context: Context, name: string): Promise<void> {
  const printer = context.printer();
  const interruption = context.io.interruption();
  const print = (header: ResponseHeader | undefined, kv: KeyValue): void =>
    printer.get(RangeResponse.create({ header, kvs: [kv] }));
  try {
    while (!interruption.aborted) {
      await followLeader(context.client, name, interruption, print);
    }
  } catch (error) {
    if (!interruption.aborted) {
      throw error;
    }
  }
}

type Print = (header: ResponseHeader | undefined, kv: KeyValue) => void;

/** Prints the leader and what it proclaims, until it leads no longer. */
async function followLeader(
  client: Client,
  name: string,
  signal: AbortSignal,
  print: Print,
): Promise<void> {
  const range = prefixRange(bytesOf(`${name}/`));
  const first = await orFail(
    client.range(
      {
        ...range,
        sortOrder: RangeRequestSortOrder.ASCEND,
        sortTarget: RangeRequestSortTarget.CREATE,
        limit: 1,
      },
      { signal },
    ),
  );
  let revision = first.header?.revision ?? 0;
  let [leader] = first.kvs;
  let header = first.header;
  if (leader === undefined) {
    await using arrivals = client.watch({ ...range, startRevision: revision + 1 }, { signal });
    for await (const reply of arrivals) {
      leader = reply.events.find(({ type }) => type === 0)?.kv;
      if (leader !== undefined) {
        header = reply.header;
        revision = leader.modRevision;
        break;
      }
    }
  }
  if (leader === undefined) {
    return;
  }
  print(header, leader);
  await using changes = client.watch({ key: leader.key, startRevision: revision + 1 }, { signal });
  for await (const reply of changes) {
    for (const { type, kv } of reply.events) {
      if (type === 1) {
        return;
      }
      if (kv !== undefined) {
        print(reply.header, kv);
      }
    }
  }
}

export const electVerbs: readonly Verb[] = [
  {
    name: "elect",
    usage: "<election> [proposal]",
    doc: "Stand for an election and lead until interrupted, or watch who leads",
    examples: ["elect scheduler host-1", "elect scheduler --listen"],
    flags: [boolFlag("listen", "Print who leads, and each change", { short: "l" })],
    run: elect,
  },
];
