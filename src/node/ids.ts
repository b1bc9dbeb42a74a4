// Cluster and member ids, derived exactly as etcd derives them, so that tools which know a
// cluster by its ids keep working.

import { createHash } from "node:crypto";
import { compareIds, toClusterId, toMemberId } from "../base/index.ts";
import type { ClusterId, MemberId } from "../base/index.ts";

function firstEightBytesOfSha1(input: string | Uint8Array): bigint {
  return createHash("sha1").update(input).digest().readBigUInt64BE(0);
}

/**
 * The id of a member named by its peer URLs: SHA-1 over the sorted URLs and the cluster token,
 * and, for a member added at run time, the time of adding (etcd's computeMemberID).
 */
export function deriveMemberId(
  peerUrls: readonly string[],
  clusterToken: string,
  addedUnixSeconds?: number,
): MemberId {
  const urls = [...peerUrls].sort().join("");
  const suffix = addedUnixSeconds === undefined ? "" : String(addedUnixSeconds);
  return toMemberId(firstEightBytesOfSha1(urls + clusterToken + suffix));
}

/** The id of a cluster: SHA-1 over the sorted ids of its first members, 8 bytes each. */
export function deriveClusterId(members: readonly MemberId[]): ClusterId {
  const bytes = Buffer.alloc(members.length * 8);
  [...members].sort(compareIds).forEach((id, position) => {
    bytes.writeBigUInt64BE(id, position * 8);
  });
  return toClusterId(firstEightBytesOfSha1(bytes));
}
