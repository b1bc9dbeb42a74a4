// The comparison of this member's store with the others' before it serves (etcd's
// InitialCorruptCheck). The member takes part in consensus meanwhile: its log is not in doubt.
//
// Where a majority of all members has another hash than this one, or the hashes differ and none has
// a majority, the member refuses to serve. A store of another member that differs is that member's
// business: it is logged, and the periodic check raises the alarm. Who cannot be compared (away,
// or compacting just then) is left out, as in etcd.

import { CorruptionError, idToHex, noMember, toMemberId } from "../base/index.ts";
import type { Clock, Logger, MemberId, Revision } from "../base/index.ts";
import { suspectsOf } from "./corruption-check.ts";
import type { HashExchange } from "./hash-exchange.ts";

/** How often members that could not be compared are asked again, at a newer revision. */
const attemptsMax = 5;
const askAgainMs = 1_000;

export interface InitialCheckNode {
  readonly self: MemberId;
  members(): readonly MemberId[];
  revision(): Revision;
}

export async function checkInitialHashes(
  node: InitialCheckNode,
  hashes: HashExchange,
  clock: Clock,
  logger: Logger,
): Promise<void> {
  const members = node.members();
  if (members.length === 1) {
    return;
  }
  logger.info({ members: members.length }, "starting initial corruption check");
  for (let attempt = 1; ; attempt++) {
    const revision = node.revision();
    const found = await hashes.compare(members, revision, () => true);
    const suspects = suspectsOf(
      found.map(({ id, hash }) => [id, { hash }] as const),
      members.length,
    );
    const byMember = found.map(({ id, hash }) => `${idToHex(id)}: ${hash}`);
    if (suspects.includes(node.self) || suspects.includes(toMemberId(noMember))) {
      throw new CorruptionError(
        `${idToHex(node.self)} found data inconsistency with peers: the hashes at revision ` +
          `${revision} are ${byMember.join(", ")}`,
      );
    }
    if (suspects.length > 0) {
      const fields = { revision, hashes: byMember, suspects: suspects.map(idToHex) };
      logger.error(fields, "another member's store differs from the majority's");
    }
    if (found.length === members.length) {
      logger.info({ revision }, "initial corruption checking passed; no corruption");
      return;
    }
    if (attempt === attemptsMax) {
      const fields = { revision, compared: found.length, members: members.length };
      logger.warn(fields, "initial corruption check: some members could not be compared");
      return;
    }
    await new Promise<void>((resolve) => {
      clock.after(askAgainMs, resolve);
    });
  }
}
