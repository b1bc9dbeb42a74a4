// Replies as rows, for the simple form (joined by commas) and the table.

import { idToHex } from "../../base/index.ts";
import type { MemberListResponse } from "../../wire/index.ts";
import { durationText, sizeText } from "./go-text.ts";
import type {
  EndpointHash,
  EndpointHealth,
  EndpointStatus,
  SnapshotFileStatus,
} from "./printer.ts";

export interface Rows {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function memberRows(reply: MemberListResponse): Rows {
  return {
    header: ["ID", "Status", "Name", "Peer Addrs", "Client Addrs", "Is Learner"],
    rows: reply.members.map((member) => [
      idToHex(member.id),
      member.name === "" ? "unstarted" : "started",
      member.name,
      member.peerUrls.join(","),
      member.clientUrls.join(","),
      String(member.isLearner),
    ]),
  };
}

export function statusRows(list: readonly EndpointStatus[]): Rows {
  return {
    header: [
      "endpoint",
      "ID",
      "version",
      "db size",
      "is leader",
      "is learner",
      "raft term",
      "raft index",
      "raft applied index",
      "errors",
    ],
    rows: list.map(({ endpoint, status }) => [
      endpoint,
      idToHex(status.header?.memberId ?? 0n),
      status.version,
      sizeText(status.dbSize),
      String(status.leader === status.header?.memberId),
      String(status.isLearner),
      String(status.raftTerm),
      String(status.raftIndex),
      String(status.raftAppliedIndex),
      status.errors.join(", "),
    ]),
  };
}

export function healthRows(list: readonly EndpointHealth[]): Rows {
  return {
    header: ["endpoint", "health", "took", "error"],
    rows: list.map(({ endpoint, health, tookNanoseconds, error }) => [
      endpoint,
      String(health),
      durationText(tookNanoseconds),
      error,
    ]),
  };
}

export function snapshotRows(status: SnapshotFileStatus): Rows {
  const { hash, revision, totalKeys, sizeBytes } = status;
  return {
    header: ["hash", "revision", "total keys", "total size"],
    rows: [[hash.toString(16), String(revision), String(totalKeys), sizeText(sizeBytes)]],
  };
}

export function hashRows(list: readonly EndpointHash[]): Rows {
  return {
    header: ["endpoint", "hash"],
    rows: list.map(({ endpoint, hash }) => [endpoint, String(hash.hash)]),
  };
}
