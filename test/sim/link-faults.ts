// Faults of the network: which links, and what happens to what they carry.

import type { Rng } from "../../src/base/index.ts";
import type { SimMember } from "./member.ts";
import { healthyLink } from "./network.ts";
import type { LinkFault } from "./network.ts";
import type { FaultKind } from "./options.ts";

export type Link = readonly [SimMember, SimMember];

/** The directions that a fault of that kind befalls. */
export function linksOf(
  kind: FaultKind,
  members: readonly SimMember[],
  victim: SimMember,
  rng: Rng,
): Link[] {
  const all = members.flatMap((from) =>
    members.filter((to) => to !== from).map((to): Link => [from, to]),
  );
  const count = members.length;
  switch (kind) {
    case "isolate":
      return all.filter(([from, to]) => from === victim || to === victim);
    case "oneWay":
      return rng.below(2) === 0
        ? all.filter(([from]) => from === victim)
        : all.filter(([, to]) => to === victim);
    case "bridge":
      // Two halves that only the victim connects.
      return all.filter(
        ([from, to]) => from !== victim && to !== victim && from.position % 2 !== to.position % 2,
      );
    case "ring":
      // Everybody hears and is heard by the two neighbours only.
      return all.filter(([from, to]) => {
        const distance = (from.position - to.position + count) % count;
        return distance !== 1 && distance !== count - 1;
      });
    case "partition": {
      const side = members.map(() => rng.below(2));
      return all.filter(([from, to]) => side[from.position] !== side[to.position]);
    }
    default:
      return rng.below(2) === 0 ? all : all.filter(() => rng.below(3) === 0);
  }
}

export function faultOf(kind: FaultKind, rng: Rng, electionTimeoutMs: number): LinkFault {
  switch (kind) {
    case "loss":
      return { ...healthyLink, loss: (1 + rng.below(60)) / 100 };
    case "duplication":
      return { ...healthyLink, duplication: (1 + rng.below(50)) / 100 };
    case "reordering":
      return { ...healthyLink, reordering: (1 + rng.below(50)) / 100 };
    case "delay":
      return { ...healthyLink, delayMs: 1 + rng.below(electionTimeoutMs) };
    default:
      return { ...healthyLink, cut: true };
  }
}
