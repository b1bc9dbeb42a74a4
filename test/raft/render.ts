// Protocol notation for scripts and failure reports: an entry is index.term and its content, a
// message is sender>receiver, term, name, fields.

import { fromUtf8 } from "../../src/base/index.ts";
import type { ConfState, Entry, HardState } from "../../src/base/index.ts";
import type { Message, Persist, RaftStatus } from "../../src/raft/index.ts";

export function renderEntry(entry: Entry): string {
  const at = `${entry.index}.${entry.term}`;
  switch (entry.kind) {
    case "noop":
      return `${at}`;
    case "command":
      return `${at} ${fromUtf8(entry.data)}`;
    case "confChange":
      return `${at} ${entry.data.length === 0 ? "leaveJoint" : fromUtf8(entry.data)}`;
  }
}

/** Long runs are shown by their ends. */
export function renderEntries(entries: readonly Entry[]): string {
  const [first] = entries;
  const last = entries[entries.length - 1];
  if (entries.length > 4 && first !== undefined && last !== undefined) {
    return `[${renderEntry(first)} .. ${renderEntry(last)}]`;
  }
  return `[${entries.map(renderEntry).join(", ")}]`;
}

export function renderConf(conf: ConfState): string {
  const parts = [`voters ${conf.voters.join(" ")}`];
  if (conf.votersOutgoing.length > 0) {
    parts.push(`outgoing ${conf.votersOutgoing.join(" ")}`);
  }
  if (conf.learners.length > 0) {
    parts.push(`learners ${conf.learners.join(" ")}`);
  }
  if (conf.learnersNext.length > 0) {
    parts.push(`learners-next ${conf.learnersNext.join(" ")}`);
  }
  return parts.join(", ");
}

export function renderHardState(hardState: HardState): string {
  return `term=${hardState.term} vote=${hardState.vote} commit=${hardState.commit}`;
}

export function renderPersist(persist: Persist): string {
  const parts: string[] = [];
  if (persist.hardState !== undefined) {
    parts.push(renderHardState(persist.hardState));
  }
  if (persist.snapshot !== undefined) {
    parts.push(`snapshot ${persist.snapshot.index}.${persist.snapshot.term}`);
  }
  if (persist.entries.length > 0) {
    parts.push(renderEntries(persist.entries));
  }
  return parts.join(" ");
}

/** Read requests are numbered from a random start; the last digits tell them apart. */
function renderContext(context: number): string {
  return `request=${context % 2 ** 21}`;
}

export function renderMessage(message: Message): string {
  return `${message.from}>${message.to} t${message.term} ${renderBody(message)}`;
}

function renderBody(message: Message): string {
  switch (message.kind) {
    case "appendRequest":
      return [
        "append",
        `${message.previousIndex}.${message.previousTerm}`,
        `+ ${renderEntries(message.entries)}`,
        `commit=${message.commit}`,
      ].join(" ");
    case "appendResponse":
      return message.rejected
        ? `rejected at ${message.index}, hint ${message.hintIndex}.${message.hintTerm}`
        : `accepted to ${message.index}`;
    case "heartbeatRequest":
      return `heartbeat commit=${message.commit}${renderRound(message.readRound)}`;
    case "heartbeatResponse":
      return `heard${renderRound(message.readRound)}`;
    case "voteRequest": {
      const name = message.preVote ? "pre-vote" : "vote";
      const transfer = message.transfer ? " by transfer" : "";
      return `${name}? last=${message.lastIndex}.${message.lastTerm}${transfer}`;
    }
    case "voteResponse":
      return `${message.preVote ? "pre-vote" : "vote"} ${message.granted ? "granted" : "refused"}`;
    case "snapshotRequest": {
      const { index, term, conf } = message.snapshot;
      return `snapshot ${index}.${term} (${renderConf(conf)})`;
    }
    case "timeoutNow":
      return "timeout-now";
    case "proposeForward":
      return `propose ${message.proposals.map(fromUtf8).join(", ")}`;
    case "readIndexRequest":
      return `read? ${renderContext(message.context)}`;
    case "readIndexResponse":
      return `read at ${message.index} ${renderContext(message.context)}`;
    case "transferForward":
      return `transfer to ${message.transferee}`;
  }
}

function renderRound(round: number): string {
  return round === 0 ? "" : ` round=${round}`;
}

export function renderRole(status: RaftStatus): string {
  const at = `t${status.term}`;
  switch (status.role) {
    case "leader":
      return `leads ${at}`;
    case "candidate":
      return `is candidate ${at}`;
    case "preCandidate":
      return `is pre-candidate ${at}`;
    case "follower":
      return `follows ${status.leader === 0n ? "nobody" : String(status.leader)} ${at}`;
  }
}
