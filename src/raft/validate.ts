// What a peer's message must satisfy to be looked at. A message that fails is counted and ignored.

import { noMember } from "../base/index.ts";
import type { MemberId } from "../base/index.ts";
import { confFault } from "./confchange.ts";
import type { AppendRequest, Message } from "./message.ts";

export function isValidMessage(message: Message, self: MemberId): boolean {
  if (message.to !== self || message.from === self || message.from === noMember) {
    return false;
  }
  // Term 0 has no leader, no candidate and no voter; only forwards may come from it.
  if (!isCounter(message.term)) {
    return false;
  }
  switch (message.kind) {
    case "appendRequest":
      return message.term > 0 && isValidAppend(message);
    case "appendResponse":
      return (
        isCounter(message.index) && isCounter(message.hintIndex) && isCounter(message.hintTerm)
      );
    case "heartbeatRequest":
      return message.term > 0 && isCounter(message.commit) && isCounter(message.readRound);
    case "heartbeatResponse":
      return isCounter(message.readRound);
    case "voteRequest":
      return message.term > 0 && isCounter(message.lastIndex) && message.lastTerm < message.term;
    case "snapshotRequest": {
      const { index, term, conf } = message.snapshot;
      return (
        isCounter(index) &&
        index > 0 &&
        isCounter(term) &&
        term <= message.term &&
        confFault(conf) === undefined
      );
    }
    case "readIndexRequest":
      return isCounter(message.context);
    case "readIndexResponse":
      return isCounter(message.context) && isCounter(message.index);
    case "voteResponse":
      return isCounter(message.commit) && isCounter(message.commitTerm);
    case "timeoutNow":
    case "proposeForward":
    case "transferForward":
      return true;
  }
}

function isCounter(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

/** Entries follow `previousIndex` without a gap; their terms never fall nor pass the sender's. */
function isValidAppend(message: AppendRequest): boolean {
  const { previousIndex, previousTerm, entries, commit } = message;
  if (!isCounter(previousIndex) || !isCounter(previousTerm) || !isCounter(commit)) {
    return false;
  }
  let index: number = previousIndex;
  let term: number = previousTerm;
  for (const entry of entries) {
    index++;
    if (entry.index !== index || !(entry.term >= term)) {
      return false;
    }
    term = entry.term;
  }
  return term <= message.term && Number.isSafeInteger(index);
}
