// Membership changes between their encoding in the log (quoratepb.ConfChange) and the core's form.

import { DecodeError, toMemberId } from "../base/index.ts";
import type { ConfChange as RaftConfChange, ConfChangeStep } from "../raft/index.ts";
import { ConfChange, ConfChangeStepKind } from "../wire/index.ts";

/** The change that an entry holds; undefined when it leaves a joint configuration. */
export function decodeConfChange(data: Uint8Array): ConfChange | undefined {
  return data.length === 0 ? undefined : ConfChange.decode(data);
}

/** What the core needs to know: updates of addresses do not concern it. */
export function toRaftChange(change: ConfChange): RaftConfChange {
  const steps: ConfChangeStep[] = [];
  for (const step of change.steps) {
    const member = toMemberId(step.memberId);
    switch (step.kind) {
      case ConfChangeStepKind.ADD_VOTER:
        steps.push({ kind: "addVoter", member });
        break;
      case ConfChangeStepKind.ADD_LEARNER:
        steps.push({ kind: "addLearner", member });
        break;
      case ConfChangeStepKind.REMOVE:
        steps.push({ kind: "remove", member });
        break;
      case ConfChangeStepKind.UPDATE:
        break;
      default:
        throw new DecodeError(`unknown membership step ${step.kind}`);
    }
  }
  return { steps };
}
