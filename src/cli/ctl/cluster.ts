// endpoint status, health and hashkv, alarm list and disarm, move-leader.

import { utf8 } from "../../base/index.ts";
import { ClientError } from "../../client/index.ts";
import { type AlarmMember, AlarmRequestAlarmAction, AlarmResponse } from "../../wire/index.ts";
import {
  type Arguments,
  type Context,
  hexFault,
  isSet,
  positionals,
  wholeFlag,
} from "./context.ts";
import { CommandError, exitCodes, orFail, callText } from "./failure.ts";
import type { EndpointHash, EndpointHealth, EndpointStatus } from "./printer.ts";
import { boolFlag, type Verb, valueFlag } from "./verb.ts";

/** The endpoints of the flag, or with --cluster those of all members. */
export async function endpointsOf(context: Context, argv: Arguments): Promise<readonly string[]> {
  if (!isSet(argv, "cluster")) {
    return context.endpoints;
  }
  const call = context.client.memberList({});
  const { members } = await orFail(
    call,
    exitCodes.error,
    (error) => `failed to fetch endpoints from etcd cluster member list: ${error}`,
  );
  return members.flatMap((member) => member.clientUrls);
}

/** Asks each endpoint in turn; one that fails is told of, and fails the command at its end. */
async function askEach<T>(
  context: Context,
  argv: Arguments,
  what: string,
  ask: (endpoint: string) => Promise<T>,
): Promise<{ readonly answers: T[]; readonly failure: string | undefined }> {
  const answers: T[] = [];
  let failure: string | undefined;
  for (const endpoint of await endpointsOf(context, argv)) {
    try {
      answers.push(await ask(endpoint));
    } catch (error) {
      failure = callText(error);
      context.io.errorLine(`Failed to get the ${what} of endpoint ${endpoint} (${failure})`);
    }
  }
  return { answers, failure };
}

async function endpointStatus(context: Context, argv: Arguments): Promise<void> {
  const printer = context.printer();
  const { answers, failure } = await askEach(
    context,
    argv,
    "status",
    async (endpoint): Promise<EndpointStatus> => ({
      endpoint,
      status: await context.client.status(endpoint),
    }),
  );
  printer.endpointStatus(answers);
  if (failure !== undefined) {
    throw new CommandError(exitCodes.error, "");
  }
}

async function endpointHashKv(context: Context, argv: Arguments): Promise<void> {
  const printer = context.printer();
  const revision = wholeFlag(argv, "rev");
  const { answers, failure } = await askEach(
    context,
    argv,
    "hash",
    async (endpoint): Promise<EndpointHash> => ({
      endpoint,
      hash: await context.client.hashKv(endpoint, { revision }),
    }),
  );
  printer.endpointHashKv(answers);
  if (failure !== undefined) {
    throw new CommandError(exitCodes.error, failure);
  }
}

/** A linearizable read through one endpoint; being denied it still shows that consensus works. */
async function healthOf(context: Context, endpoint: string): Promise<EndpointHealth> {
  const client = context.connectTo([endpoint]);
  const start = process.hrtime.bigint();
  const took = (): number => Number(process.hrtime.bigint() - start);
  try {
    await client.range({ key: utf8("health") });
    return { endpoint, health: true, tookNanoseconds: took(), error: "" };
  } catch (error) {
    const denied = error instanceof ClientError && error.code === "permissionDenied";
    const text = denied ? "" : callText(error);
    return { endpoint, health: denied, tookNanoseconds: took(), error: text };
  } finally {
    client.close();
  }
}

async function endpointHealth(context: Context, argv: Arguments): Promise<void> {
  const printer = context.printer();
  const endpoints = await endpointsOf(context, argv);
  const list = await Promise.all(endpoints.map((endpoint) => healthOf(context, endpoint)));
  printer.endpointHealth(list);
  if (list.some((one) => !one.health)) {
    throw new CommandError(exitCodes.error, "unhealthy cluster");
  }
}

function noArguments(argv: Arguments, verb: string): void {
  if (positionals(argv).length > 0) {
    throw new CommandError(exitCodes.badArguments, `${verb} command accepts no arguments`);
  }
}

async function alarmList(context: Context, argv: Arguments): Promise<void> {
  noArguments(argv, "alarm list");
  const call = context.client.alarm({ action: AlarmRequestAlarmAction.GET });
  context.printer().alarm(await orFail(call));
}

async function alarmDisarm(context: Context, argv: Arguments): Promise<void> {
  noArguments(argv, "alarm disarm");
  const printer = context.printer();
  const { alarms } = await orFail(context.client.alarm({ action: AlarmRequestAlarmAction.GET }));
  const disarmed: AlarmMember[] = [];
  for (const { memberId, alarm } of alarms) {
    const action = AlarmRequestAlarmAction.DEACTIVATE;
    const reply = await orFail(context.client.alarm({ action, memberId, alarm }));
    disarmed.push(...reply.alarms);
  }
  printer.alarm(AlarmResponse.create({ alarms: disarmed }));
}

async function moveLeader(context: Context, argv: Arguments): Promise<void> {
  const [text, ...rest] = positionals(argv);
  if (text === undefined || rest.length > 0) {
    throw new CommandError(exitCodes.badArguments, "move-leader command needs 1 argument");
  }
  const fault = hexFault(text);
  if (fault !== undefined) {
    throw new CommandError(exitCodes.badArguments, fault, "member list prints the ids");
  }
  const target = BigInt(`0x${text}`);
  const printer = context.printer();
  for (const endpoint of context.endpoints) {
    const status = await context.client.status(endpoint).catch(() => undefined);
    if (status !== undefined && status.leader === status.header?.memberId) {
      await orFail(context.client.moveLeader(endpoint, target));
      printer.moveLeader(status.leader, target);
      return;
    }
  }
  throw new CommandError(
    exitCodes.badArguments,
    `no leader endpoint given at [${context.endpoints.join(" ")}]`,
    "give the leader's endpoint, or all: endpoint status --cluster shows who leads",
  );
}

const clusterFlag = boolFlag("cluster", "Ask all members of the cluster");

export const clusterVerbs: readonly Verb[] = [
  {
    name: "endpoint status",
    usage: "",
    doc: "Print what each endpoint says of itself",
    examples: ["endpoint status --cluster -w table"],
    flags: [clusterFlag],
    run: endpointStatus,
  },
  {
    name: "endpoint health",
    usage: "",
    doc: "Try a read through each endpoint",
    examples: ["endpoint health --cluster"],
    flags: [clusterFlag],
    run: endpointHealth,
  },
  {
    name: "endpoint hashkv",
    usage: "",
    doc: "Print the hash of each endpoint's history",
    examples: ["endpoint hashkv --cluster --rev=1000"],
    flags: [clusterFlag, valueFlag("rev", "Up to this revision")],
    run: endpointHashKv,
  },
  {
    name: "alarm list",
    usage: "",
    doc: "Print alarms",
    examples: ["alarm list"],
    flags: [],
    run: alarmList,
  },
  {
    name: "alarm disarm",
    usage: "",
    doc: "Clear all alarms",
    examples: ["alarm disarm"],
    flags: [],
    run: alarmDisarm,
  },
  {
    name: "move-leader",
    usage: "<memberID>",
    doc: "Make another member the leader",
    examples: ["move-leader 8e9e05c52164694d"],
    flags: [],
    run: moveLeader,
  },
];
