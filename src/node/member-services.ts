// The services around the core of a member: each is given what it may see of it, and no more.

import { idToHex } from "../base/index.ts";
import { CorruptionCheck } from "./corruption-check.ts";
import type { NodeConfig, NodeDevices } from "./devices.ts";
import type { CommandKind, CommandResult } from "./handle.ts";
import { HashExchange } from "./hash-exchange.ts";
import type { Hasher } from "./hasher.ts";
import { checkInitialHashes } from "./initial-check.ts";
import { LearnerPromotion } from "./learner-promotion.ts";
import type { MemberCore } from "./member-core.ts";
import { MembershipService } from "./membership-service.ts";
import type { NodeMetrics } from "./node-metrics.ts";
import { SpaceWatch } from "./space-watch.ts";

/** Comparing stores rests so long after each block, milliseconds: it is never in a hurry. */
const comparisonRestMs = 1;

export interface ServiceParts {
  readonly config: NodeConfig;
  readonly devices: NodeDevices;
  readonly core: MemberCore;
  readonly metrics: NodeMetrics;
  readonly hasher: Hasher;
  /** For what the cluster does by itself. */
  propose(kind: CommandKind, encoded: Uint8Array): Promise<CommandResult>;
  onFatal(error: unknown): void;
}

export function makeMembership(parts: ServiceParts): MembershipService {
  const { config, devices, core, metrics } = parts;
  return new MembershipService(
    {
      self: config.memberId,
      driver: core.driver,
      proposals: core.proposals,
      learnersMax: config.learnersMax,
      strict: config.strictReconfiguration,
      membership: () => core.machine.state.membership,
      raft: () => core.driver.raft.status(),
      deadlineMs: () => core.deadlineMs(),
      linearize: () => core.linearize(),
      onPromotion: (refused) => metrics.promotion(refused),
    },
    devices.network,
    devices.clock,
  );
}

export function makeLearnerPromotion(
  { config, devices, core }: ServiceParts,
  membership: MembershipService,
): LearnerPromotion {
  return new LearnerPromotion(
    {
      raft: () => core.driver.raft.status(),
      members: () => core.machine.state.membership.members(),
      promote: (id) => membership.promote(id),
    },
    config.promoteLearners ?? false,
    config.electionTimeoutMs,
    (id, error) => {
      if (error === undefined) {
        devices.logger.info({ member: idToHex(id) }, "promoted a learner that has caught up");
      } else {
        devices.logger.warn({ member: idToHex(id), err: error }, "could not promote a learner");
      }
    },
  );
}

export function makeSpaceWatch(parts: ServiceParts): SpaceWatch {
  const { config, devices, core, metrics } = parts;
  return new SpaceWatch(
    {
      isLeader: () => core.status.role === "leader",
      alarms: () => core.machine.state.alarms.list(),
      sizeInUseBytes: () => core.machine.state.store.sizeInUseBytes,
      sizeBytes: () => core.engine.sizeBytes(),
      engine: () => (core.checkpointer.suspended ? undefined : core.engine),
      compactedRevision: () => core.machine.state.store.compactedRevision,
      isCompacting: () => core.machine.state.store.compactionPending,
      propose: (kind, encoded) => parts.propose(kind, encoded),
      onReclaim: (elapsedMs) => metrics.work.reclaim(elapsedMs),
      onFatal: (error) => parts.onFatal(error),
    },
    config.quotaBytes,
    devices.clock,
    devices.logger,
  );
}

export function makeHashExchange({ config, devices, core, hasher }: ServiceParts): HashExchange {
  return new HashExchange(
    {
      self: config.memberId,
      revision: () => core.machine.state.store.revision,
      hashKv: (revision) => hasher.hashKv(revision, comparisonRestMs),
    },
    devices.network,
    devices.clock,
  );
}

/** See initial-check.ts. */
export function checkAgainstOthers(parts: ServiceParts, hashes: HashExchange): Promise<void> {
  const { config, devices, core } = parts;
  return checkInitialHashes(
    {
      self: config.memberId,
      members: () => core.machine.state.membership.members().map(({ id }) => id),
      revision: () => core.machine.state.store.revision,
    },
    hashes,
    devices.clock,
    devices.logger,
  );
}

export function makeCorruptionCheck(parts: ServiceParts, hashes: HashExchange): CorruptionCheck {
  const { config, devices, core } = parts;
  return new CorruptionCheck(
    {
      self: config.memberId,
      isLeader: () => core.status.role === "leader",
      members: () => core.machine.state.membership.members().map(({ id }) => id),
      revision: () => core.machine.state.store.revision,
      compactedRevision: () => core.machine.state.store.compactedRevision,
      propose: (kind, encoded) => parts.propose(kind, encoded),
    },
    config.corruptionCheck ?? { everyMs: 0, afterCompactionMs: 0 },
    hashes,
    devices.logger,
  );
}
