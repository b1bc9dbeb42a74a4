// Looked at now and then, as it takes more than a glance: whether leaders that hear nobody step
// down, and whether leases and members, which answers show only in part, are the model's.

import { QuorateError } from "../../src/base/index.ts";
import type { Member, QuorateNode } from "../../src/node/index.ts";
import type { SimMember } from "./member.ts";
import { demand } from "./violation.ts";
import type { World } from "./world.ts";

interface Reign {
  readonly life: number;
  readonly term: number;
  readonly sinceMs: number;
}

export class Patrol {
  readonly #world: World;
  readonly #reigns = new Map<SimMember, Reign>();

  /** Whether a member is on its way to an orderly end: it takes no part, and its office is idle. */
  readonly #isStopping: (member: SimMember) => boolean;

  constructor(world: World, isStopping: (member: SimMember) => boolean) {
    this.#world = world;
    this.#isStopping = isStopping;
  }

  begin(): void {
    const { scheduler, options } = this.#world;
    scheduler.after(options.electionTimeoutMs, () => {
      try {
        for (const member of this.#world.members) {
          const isAwake = member.process?.paused === false && !this.#isStopping(member);
          if (isAwake && member.node !== undefined) {
            this.#checkReign(member);
            this.#checkState(member, member.node);
          }
        }
      } catch (error) {
        this.#world.fail(error);
      }
      this.begin();
    });
  }

  /** A leader that no quorum talks to is out of office after an election timeout of its clock. */
  #checkReign(member: SimMember): void {
    const { scheduler, network, ledger, options } = this.#world;
    const { nowMs } = scheduler;
    const status = member.status();
    const reign = this.#reigns.get(member);
    if (status?.isLeader !== true) {
      this.#reigns.delete(member);
      return;
    }
    const { term } = status;
    if (reign?.life !== member.lives || reign.term !== term) {
      this.#reigns.set(member, { life: member.lives, term, sinceMs: nowMs });
      return;
    }
    const silentMs = 4 * options.electionTimeoutMs;
    const awakeMs = nowMs - (member.process?.awakeSinceMs ?? nowMs);
    if (Math.min(nowMs - reign.sinceMs, awakeMs) < silentMs) {
      return;
    }
    const isHeard = ledger.isQuorum(
      (id) => id === member.id || network.heardMs(id, member.id) > nowMs - silentMs,
    );
    demand(isHeard, () => `${member.name} has led for ${silentMs} ms without hearing a quorum`);
  }

  #checkState(member: SimMember, node: QuorateNode): void {
    const { ledger } = this.#world;
    if (node.status().applied !== ledger.length) {
      return;
    }
    const told = stateOf(node);
    if (told === undefined) {
      return;
    }
    const leases = told.leases.map(String).sort().join(" ");
    const rightLeases = [...ledger.model.leases.keys()].map(String).sort().join(" ");
    demand(leases === rightLeases, () => `${member.name} has leases ${leases}, not ${rightLeases}`);
    const members = told.members.map(render).sort().join(" ");
    const rightMembers = ledger.membership.members().map(render).sort().join(" ");
    demand(
      members === rightMembers,
      () => `${member.name} lists ${members}; right is ${rightMembers}`,
    );
  }
}

/** Undefined for a node that is about to stop. */
function stateOf(
  node: QuorateNode,
): { readonly leases: readonly bigint[]; readonly members: readonly Member[] } | undefined {
  try {
    const told = node.read(false, (state) => ({
      leases: state.leaseIds(),
      members: state.members(),
    }));
    return told instanceof Promise ? undefined : told;
  } catch (error) {
    if (error instanceof QuorateError) {
      return undefined;
    }
    throw error;
  }
}

function render({ id, isLearner, peerUrls }: Member): string {
  return `${id}${isLearner ? "?" : ""}(${peerUrls.join(",")})`;
}
