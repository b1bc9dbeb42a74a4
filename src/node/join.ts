// Joining a running cluster: a member that was added (MemberAdd) and starts for the first time
// learns who it is from the others, over HTTP on their peer ports, as in etcd.

import { type IncomingMessage, request } from "node:http";
import { idToHex, StorageError, toClusterId, toMemberId } from "../base/index.ts";
import type { ClusterId, MemberId } from "../base/index.ts";
import { hostAndPort, type PeerTransport } from "../peer/index.ts";
import type { Member } from "./handle.ts";

const askTimeoutMs = 5_000;
/** Longest member list taken. */
const replyBytesMax = 1024 * 1024;

export interface RunningCluster {
  readonly clusterId: ClusterId;
  readonly members: readonly Member[];
  /** The member that was added under these peer URLs. */
  readonly self: MemberId;
}

/**
 * Asks the members at `peerUrls` in turn. Throws StorageError, in words for the operator, when
 * none answers or none knows this member.
 */
export async function findCluster(
  peerUrls: readonly string[],
  ownPeerUrls: readonly string[],
  transport: PeerTransport,
): Promise<RunningCluster> {
  const others = peerUrls.filter((url) => !ownPeerUrls.includes(url));
  const failures: string[] = [];
  for (const url of others) {
    try {
      return await askMember(url, ownPeerUrls, transport);
    } catch (error) {
      if (error instanceof StorageError) {
        throw error;
      }
      failures.push(`${url}: ${reasonOf(error)}`);
    }
  }
  throw new StorageError(
    `could not fetch cluster information from peer URLs: could not retrieve cluster information ` +
      `from the given URLs (${failures.join("; ") || "no other member is named"})`,
  );
}

async function askMember(
  url: string,
  ownPeerUrls: readonly string[],
  transport: PeerTransport,
): Promise<RunningCluster> {
  const reply = await get(url, "/members", transport);
  if (reply.statusCode !== 200) {
    reply.destroy();
    throw new Error(`HTTP status ${reply.statusCode}`);
  }
  const id = reply.headers["x-etcd-cluster-id"];
  const clusterId = toClusterId(BigInt(`0x${typeof id === "string" ? id : ""}`));
  const members = parseMembers(await textOf(reply));
  const own = [...ownPeerUrls].sort().join(",");
  const self = members.find((member) => [...member.peerUrls].sort().join(",") === own);
  if (self === undefined) {
    throw new StorageError(
      `cluster ${idToHex(clusterId)} has no member with the peer URLs ${own}: add it first ` +
        "(member add), with exactly these URLs",
    );
  }
  return { clusterId, members, self: self.id };
}

/** GET on a socket of the transport, which brings TLS where the URL asks for it. */
function get(url: string, path: string, transport: PeerTransport): Promise<IncomingMessage> {
  const { host, port } = hostAndPort(url);
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host,
        port,
        path,
        signal: AbortSignal.timeout(askTimeoutMs),
        createConnection: () => transport.connect(url, () => undefined),
      },
      resolve,
    );
    sent.once("error", reject);
    sent.end();
  });
}

async function textOf(reply: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of reply as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > replyBytesMax) {
      throw new Error("the answer is too long");
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** etcd writes ids as numbers of 64 bits, which JSON.parse would round. */
function parseMembers(text: string): Member[] {
  const exact = text.replace(/"id":\s*(\d+)/g, '"id":"$1"');
  const rows = JSON.parse(exact) as {
    readonly id: string;
    readonly name?: string;
    readonly peerURLs?: readonly string[];
    readonly clientURLs?: readonly string[];
    readonly isLearner?: boolean;
  }[];
  return rows.map((row) => ({
    id: toMemberId(BigInt(row.id)),
    name: row.name ?? "",
    peerUrls: row.peerURLs ?? [],
    clientUrls: row.clientURLs ?? [],
    isLearner: row.isLearner ?? false,
  }));
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}
