// member list, add, remove, update, promote.

import { utf8 } from "../../base/index.ts";
import type { MemberAddResponse } from "../../wire/index.ts";
import {
  type Arguments,
  type Context,
  isSet,
  memberArgument,
  positionals,
  textFlag,
} from "./context.ts";
import { CommandError, exitCodes, orFail } from "./failure.ts";
import { goQuote } from "./go-text.ts";
import { boolFlag, type Verb, valueFlag } from "./verb.ts";

async function list(context: Context, argv: Arguments): Promise<void> {
  const consistency = textFlag(argv, "consistency") || "l";
  if (consistency !== "l" && consistency !== "s") {
    throw new CommandError(
      exitCodes.badFeature,
      `unknown consistency flag ${goQuote(utf8(consistency))}`,
      "--consistency is l (linearizable) or s (serializable)",
    );
  }
  const call = context.client.memberList({ linearizable: consistency === "l" });
  context.printer().memberList(await orFail(call));
}

function peerUrlsOf(argv: Arguments): string[] {
  const text = textFlag(argv, "peer-urls");
  if (text === "") {
    throw new CommandError(exitCodes.badArguments, "member peer urls not provided");
  }
  return text.split(",");
}

/** What Go's client refuses before it asks. */
function checkPeerUrl(text: string): void {
  const fault = /^unixs?:\/\//.test(text)
    ? undefined
    : !/^https?:\/\//.test(text)
      ? "URL scheme must be http, https, unix, or unixs"
      : !/^https?:\/\/(?:\[[^\]]+\]|[^/:]+):\d+(?:\/|$)/.test(text)
        ? 'URL address does not have the form "host:port"'
        : /^https?:\/\/[^/]+\/./.test(text)
          ? "URL must not contain a path"
          : undefined;
  if (fault !== undefined) {
    throw new CommandError(exitCodes.error, `${fault}: ${text}`);
  }
}

async function add(context: Context, argv: Arguments): Promise<void> {
  const [name, ...rest] = positionals(argv);
  if (name === undefined) {
    throw new CommandError(exitCodes.badArguments, "member name not provided");
  }
  if (rest.length > 0) {
    const hints = [name, ...rest]
      .filter((text) => text.toLowerCase().startsWith("http"))
      .map((text) => `, did you mean --peer-urls=${text}`);
    throw new CommandError(exitCodes.badArguments, `too many arguments${hints.join("")}`);
  }
  const peerUrls = peerUrlsOf(argv);
  peerUrls.forEach(checkPeerUrl);
  const printer = context.printer();
  const isLearner = isSet(argv, "learner");
  const reply = await orFail(context.client.memberAdd({ peerUrls, isLearner }));
  printer.memberAdd(reply);
  if (context.format === "simple") {
    printStartOf(context, name, peerUrls, reply);
  }
}

/** The variables with which the new member is to be started. */
function printStartOf(
  context: Context,
  name: string,
  peerUrls: readonly string[],
  reply: MemberAddResponse,
): void {
  const cluster = reply.members.flatMap((member) =>
    member.peerUrls.map((url) => `${member.id === reply.member?.id ? name : member.name}=${url}`),
  );
  const variable = (key: string, value: string): void =>
    context.io.line(`ETCD_${key}=${goQuote(utf8(value))}`);
  context.io.line("");
  variable("NAME", name);
  variable("INITIAL_CLUSTER", cluster.join(","));
  variable("INITIAL_ADVERTISE_PEER_URLS", peerUrls.join(","));
  variable("INITIAL_CLUSTER_STATE", "existing");
}

async function remove(context: Context, argv: Arguments): Promise<void> {
  const id = memberArgument(argv);
  const printer = context.printer();
  printer.memberRemove(id, await orFail(context.client.memberRemove(id)));
}

async function update(context: Context, argv: Arguments): Promise<void> {
  const id = memberArgument(argv);
  const peerUrls = peerUrlsOf(argv);
  const printer = context.printer();
  printer.memberUpdate(id, await orFail(context.client.memberUpdate(id, peerUrls)));
}

async function promote(context: Context, argv: Arguments): Promise<void> {
  const id = memberArgument(argv);
  const printer = context.printer();
  printer.memberPromote(id, await orFail(context.client.memberPromote(id)));
}

export const memberVerbs: readonly Verb[] = [
  {
    name: "member list",
    usage: "",
    doc: "Print the members",
    examples: ["member list -w table"],
    flags: [valueFlag("consistency", "Linearizable (l) or serializable (s)", { default: "l" })],
    run: list,
  },
  {
    name: "member add",
    usage: "<name>",
    doc: "Add a member, and print how to start it",
    examples: ["member add node4 --peer-urls=http://10.0.0.4:2380 --learner"],
    flags: [
      valueFlag("peer-urls", "Where the other members reach it, separated by commas"),
      boolFlag("learner", "Without a vote, until it is promoted"),
    ],
    run: add,
  },
  {
    name: "member remove",
    usage: "<memberID>",
    doc: "Remove a member",
    examples: ["member remove 8e9e05c52164694d"],
    flags: [],
    run: remove,
  },
  {
    name: "member update",
    usage: "<memberID>",
    doc: "Change a member's addresses",
    examples: ["member update 8e9e05c52164694d --peer-urls=http://10.0.0.5:2380"],
    flags: [valueFlag("peer-urls", "Where the other members reach it, separated by commas")],
    run: update,
  },
  {
    name: "member promote",
    usage: "<memberID>",
    doc: "Give a learner a vote",
    examples: ["member promote 8e9e05c52164694d"],
    flags: [],
    run: promote,
  },
];
