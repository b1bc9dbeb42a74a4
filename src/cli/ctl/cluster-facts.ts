// Everything that can be asked of a cluster and its members at once, for top and doctor. A member
// that does not answer is a fact, too.

import type { Client } from "../../client/index.ts";
import type { Member, StatusResponse } from "../../wire/index.ts";
import type { Context } from "./context.ts";
import { orFail, textOf } from "./failure.ts";
import { metricsReply } from "./member-metrics.ts";
import { Metrics } from "./metrics-text.ts";

/** A member and where it is asked. */
export interface MemberAddress {
  readonly id: bigint;
  readonly name: string;
  readonly isLearner: boolean;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  /** Empty for a member that has not started yet. */
  readonly endpoint: string;
}

/** One reading of a member. */
export interface MemberReading {
  readonly member: MemberAddress;
  readonly atMs: number;
  /** Undefined where it does not answer; `failure` says why. */
  readonly status: StatusResponse | undefined;
  readonly failure: string;
  /** How long its status took. */
  readonly tookMs: number;
  readonly metrics: Metrics | undefined;
  /** Its clock minus ours, as closely as its HTTP header tells. */
  readonly clockOffsetMs: number | undefined;
}

/** All members, through whichever endpoint answers. */
export async function membersOf(context: Context): Promise<MemberAddress[]> {
  const { members } = await orFail(context.client.memberList({}));
  return members.map((member) => ({ ...addressOf(member), endpoint: endpointOf(context, member) }));
}

function addressOf({
  id,
  name,
  isLearner,
  peerUrls,
  clientUrls,
}: Member): Omit<MemberAddress, "endpoint"> {
  return { id, name, isLearner, peerUrls, clientUrls };
}

/** What the user named, if it is the member's: what it advertises may be out of reach from here. */
function endpointOf(context: Context, { clientUrls }: Member): string {
  const bare = (url: string): string => url.replace(/^\w+:\/\//, "").replace(/\/$/, "");
  const own = context.endpoints.find((named) =>
    clientUrls.some((url) => bare(url) === bare(named)),
  );
  return own ?? clientUrls[0] ?? "";
}

export async function readMembers(
  context: Context,
  client: Client,
  members: readonly MemberAddress[],
): Promise<MemberReading[]> {
  return Promise.all(members.map((member) => readMember(context, client, member)));
}

async function readMember(
  context: Context,
  client: Client,
  member: MemberAddress,
): Promise<MemberReading> {
  const startedMs = performance.now();
  const nothing = { metrics: undefined, clockOffsetMs: undefined, status: undefined };
  if (member.endpoint === "") {
    return { ...nothing, member, atMs: startedMs, tookMs: 0, failure: "it has not started yet" };
  }
  try {
    const status = await client.status(member.endpoint);
    const tookMs = performance.now() - startedMs;
    const said = await metricsReply(context.connection, member.endpoint).catch(() => undefined);
    return {
      member,
      atMs: performance.now(),
      status,
      failure: "",
      tookMs,
      metrics: said === undefined ? undefined : new Metrics(said.text),
      clockOffsetMs: said?.clockOffsetMs,
    };
  } catch (error) {
    const tookMs = performance.now() - startedMs;
    return { ...nothing, member, atMs: startedMs, tookMs, failure: reasonOf(textOf(error)) };
  }
}

/** The cause in the middle of what grpc says. */
export function reasonOf(text: string): string {
  const [, reason = text] = /Last error: (?:Error: )?(.*?)\. Resolution note/.exec(text) ?? [];
  return reason;
}

/** "node1", or where it is. */
export function titleOf({ name, endpoint, id }: MemberAddress): string {
  return name || endpoint || BigInt.asUintN(64, id).toString(16);
}
