import type { PeerMetrics } from "./contract.ts";

/** Counts nothing; for tests and tools. */
export const silentPeerMetrics: PeerMetrics = {
  sent() {},
  received() {},
  sendFailed() {},
  receiveFailed() {},
  roundTrip() {},
  refused() {},
  connected() {},
  snapshotSent() {},
  snapshotReceived() {},
};
