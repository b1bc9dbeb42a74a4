// A member's disk, filled on the first start and opened on every other, with the state that it
// holds.

import { StorageError, compareIds, idToHex } from "../base/index.ts";
import type { ClusterId, HardState, LogIndex, MemberId, Rng, SnapshotMeta } from "../base/index.ts";
import { Membership } from "../membership/index.ts";
import { bootstrapState, emptyConf, joinState } from "../raft/index.ts";
import { type PeerTransport, tcpTransport } from "../peer/index.ts";
import { withAdvice } from "../storage/index.ts";
import type { DataDirectory, MemberDisk } from "../storage/index.ts";
import type { Member } from "./handle.ts";
import { deriveClusterId, deriveMemberId } from "./ids.ts";
import { findCluster } from "./join.ts";
import { foundingRecords, openState } from "./replicated-state.ts";
import type { OpenedState, StateOptions } from "./replicated-state.ts";

/** What the flags say of the cluster's beginning. */
export interface Founding {
  /** Name and peer URLs of every first member, this one too; may be empty when there is data. */
  readonly members: readonly { readonly name: string; readonly peerUrls: readonly string[] }[];
  readonly token: string;
  /** Whether the cluster begins now or a running one is joined. */
  readonly state: "new" | "existing";
  /** Make a cluster of this member alone; for when the quorum is lost for good. */
  readonly forceNewCluster: boolean;
  /** How the members of a running cluster are reached; TCP unless told. */
  readonly transport?: PeerTransport | undefined;
}

interface FoundingState {
  readonly identity: { readonly clusterId: ClusterId; readonly memberId: MemberId };
  readonly membership: Membership;
  readonly hardState: HardState;
  readonly snapshot: SnapshotMeta;
}

export interface OpenedMember {
  readonly clusterId: ClusterId;
  readonly memberId: MemberId;
  readonly disk: DataDirectory;
  readonly opened: OpenedState;
}

/**
 * Opens what is on the disk, after making it from `founding` if there is nothing. Throws
 * StorageError, in words for the operator, when it is in use, foreign or not to be trusted.
 */
export async function openMember(
  place: MemberDisk,
  name: string,
  founding: Founding,
  rng: Rng,
  options: StateOptions,
): Promise<OpenedMember> {
  if (!(await place.hasData())) {
    await (founding.state === "new" ? found : join)(place, name, founding, rng);
  }
  const disk = await place.open();
  try {
    const opened = await openState(disk.engine, options);
    const { clusterId, memberId } = disk.recovered.identity;
    checkPosition(place.name, disk, opened);
    if (founding.forceNewCluster) {
      if (opened.state.membership.isRemoved(memberId)) {
        throw new StorageError(
          `${place.name} belongs to a member that was removed from its cluster`,
        );
      }
      return { clusterId, memberId, disk, opened: await standAlone(disk, memberId, options) };
    }
    checkCluster(place.name, opened.state.membership, founding);
    return { clusterId, memberId, disk, opened };
  } catch (error) {
    await disk.close();
    throw withAdvice(error);
  }
}

async function found(place: MemberDisk, name: string, founding: Founding, rng: Rng): Promise<void> {
  const { identity, membership, hardState, snapshot } = foundingState({ ...founding, name });
  await place.create({
    identity,
    salt: rng.next(),
    hardState,
    snapshot,
    fill: (engine) => engine.write(foundingRecords(membership, snapshot), { sync: true }),
  });
}

/** What the member `name` of a new cluster begins with. */
export function foundingState(
  founding: Pick<Founding, "members" | "token"> & { readonly name: string },
): FoundingState {
  const { name } = founding;
  const members = founding.members.map(
    (member): Member => ({
      id: deriveMemberId(member.peerUrls, founding.token),
      // Known once the member has started and published itself, as in etcd.
      name: "",
      peerUrls: member.peerUrls,
      clientUrls: [],
      isLearner: false,
    }),
  );
  const self = members[founding.members.findIndex((member) => member.name === name)];
  if (self === undefined) {
    throw new StorageError(`${name} is not one of the first members`);
  }
  const ids = members.map((member) => member.id).sort(compareIds);
  const clusterId = deriveClusterId(ids);
  const { hardState, snapshot } = bootstrapState(ids);
  const membership = Membership.bootstrap(clusterId, members);
  return {
    identity: { clusterId, memberId: self.id },
    membership,
    hardState,
    snapshot: snapshot as SnapshotMeta,
  };
}

/** The first start of a member that was added to a running cluster: it has nothing yet. */
async function join(place: MemberDisk, name: string, founding: Founding, rng: Rng): Promise<void> {
  const own = founding.members.find((member) => member.name === name)?.peerUrls ?? [];
  const urls = founding.members.flatMap((member) => member.peerUrls);
  const { clusterId, members, self } = await findCluster(
    urls,
    own,
    founding.transport ?? tcpTransport,
  );
  const { hardState, applied, conf } = joinState();
  const membership = new Membership(
    { clusterId, members, removed: [], confState: conf },
    { stored: false },
  );
  const at: SnapshotMeta = { index: applied, term: hardState.term, conf };
  await place.create({
    identity: { clusterId, memberId: self },
    salt: rng.next(),
    hardState,
    fill: (engine) => engine.write(foundingRecords(membership, at), { sync: true }),
  });
}

/** The members are this one; what its log holds beyond what is applied is taken as committed. */
async function standAlone(
  disk: DataDirectory,
  self: MemberId,
  options: StateOptions,
): Promise<OpenedState> {
  const { state } = await openState(disk.engine, options);
  const members = state.membership.members().filter((member) => member.id === self);
  const alone = new Membership(
    {
      clusterId: state.membership.clusterId,
      members,
      removed: [],
      confState: { ...emptyConf, voters: [self] },
    },
    { stored: false },
  );
  await disk.engine.write(alone.collectDirty(), { sync: true });
  return openState(disk.engine, options);
}

/** The state must not be behind what the log was cut to, nor ahead of what the log can show. */
function checkPosition(path: string, disk: DataDirectory, { applied }: OpenedState): void {
  const { snapshot, entries } = disk.recovered;
  const first: LogIndex | 0 = snapshot?.index ?? 0;
  const last = entries.at(-1)?.index ?? first;
  if (applied.index < first || applied.index > last) {
    throw new StorageError(
      `${path}: the state stands at log index ${applied.index}, the log goes from ${first} to ` +
        `${last}: one of them has lost what was durable. Remove this member from the cluster, ` +
        "delete its data directory and add it again",
    );
  }
}

/**
 * The flags of a first start are not needed on a later one and may be out of date; but if they
 * name a cluster that has nothing in common with the stored one, the directory is the wrong one.
 */
function checkCluster(path: string, membership: Membership, founding: Founding): void {
  if (founding.members.length === 0) {
    return;
  }
  const ids = founding.members.map((member) => deriveMemberId(member.peerUrls, founding.token));
  if (deriveClusterId(ids) === membership.clusterId) {
    return;
  }
  const known = new Set(membership.members().flatMap((member) => member.peerUrls));
  const named = founding.members.flatMap((member) => member.peerUrls);
  if (!named.some((url) => known.has(url))) {
    throw new StorageError(
      `${path} belongs to another cluster (${idToHex(membership.clusterId)}): none of the peer ` +
        `URLs in --initial-cluster is one of its members'`,
    );
  }
}
