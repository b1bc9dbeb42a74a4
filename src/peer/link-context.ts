// What the parts of a network share.

import type { Clock, ClusterId, Logger, MemberId, Rng } from "../base/index.ts";
import type { PeerHandlers, PeerMetrics } from "./contract.ts";
import { protocolVersion } from "./framing.ts";
import type { Hello, LinkPurpose } from "./framing.ts";
import type { PeerTransport } from "./transport.ts";

export interface LinkContext {
  readonly clusterId: ClusterId;
  readonly memberId: MemberId;
  readonly transport: PeerTransport;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly logger: Logger;
  readonly metrics: PeerMetrics;
  readonly handlers: PeerHandlers;
  /** Bytes came from `from`, on whatever link. */
  heardFrom(from: MemberId): void;
}

export function helloTo(context: LinkContext, to: MemberId, purpose: LinkPurpose): Hello {
  const { clusterId, memberId: from } = context;
  return { version: protocolVersion, purpose, clusterId, from, to };
}
