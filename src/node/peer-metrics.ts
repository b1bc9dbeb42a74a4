// What the links to the peers observe, under etcd's names.

import { exponentialBuckets, idToHex } from "../base/index.ts";
import type { Counter, MemberId, MetricFamily, MetricsRegistry } from "../base/index.ts";
import type { PeerMetrics } from "../peer/index.ts";

/** Makes the metrics of the links of the member `self` in `registry`. */
export function peerMetrics(registry: MetricsRegistry, self: MemberId): PeerMetrics {
  const local = idToHex(self);
  const counters = (name: string, help: string, label: string): MetricFamily<Counter> =>
    registry.counterFamily(`etcd_network_${name}`, help, [label]);
  const sentBytes = counters("peer_sent_bytes_total", "Bytes sent to peers.", "To");
  const receivedBytes = counters("peer_received_bytes_total", "Bytes received from peers.", "From");
  const sendFailures = counters("peer_sent_failures_total", "Send failures to peers.", "To");
  const receiveFailures = counters(
    "peer_received_failures_total",
    "Receive failures from peers.",
    "From",
  );
  const disconnected = registry.counterFamily(
    "etcd_network_disconnected_peers_total",
    "The total number of disconnected peers.",
    ["Local", "Remote"],
  );
  const snapshots = counters("snapshot_send_success", "Successful snapshot sends.", "To");
  const snapshotFailures = counters("snapshot_send_failures", "Failed snapshot sends.", "To");
  const received = counters("snapshot_receive_success", "Successful snapshot receives.", "From");
  const refused = registry.counterFamily(
    "quorate_network_peer_refused_total",
    "Connections refused at the handshake.",
    ["reason"],
  );
  const active = registry.gaugeFamily(
    "etcd_network_active_peers",
    "The current number of active peer connections.",
    ["Local", "Remote"],
  );
  const roundTrip = registry.histogramFamily(
    "etcd_network_peer_round_trip_time_seconds",
    "Round-trip time histogram between peers.",
    ["To"],
    exponentialBuckets(0.0001, 2, 16),
  );
  return {
    sent: (to, bytes) => sentBytes.with(idToHex(to)).inc(bytes),
    received: (from, bytes) => receivedBytes.with(idToHex(from)).inc(bytes),
    sendFailed: (to, frames) => sendFailures.with(idToHex(to)).inc(frames),
    receiveFailed: (from) => receiveFailures.with(idToHex(from)).inc(),
    roundTrip: (to, milliseconds) => roundTrip.with(idToHex(to)).observe(milliseconds / 1000),
    refused: (reason) => refused.with(reason).inc(),
    connected: (to, isConnected) => {
      active.with(local, idToHex(to)).set(isConnected ? 1 : 0);
      disconnected.with(local, idToHex(to)).inc(isConnected ? 0 : 1);
    },
    snapshotSent: (to, _bytes, _milliseconds, delivered) =>
      (delivered ? snapshots : snapshotFailures).with(idToHex(to)).inc(),
    snapshotReceived: (from, _bytes, _milliseconds, whole) =>
      received.with(idToHex(from)).inc(whole ? 1 : 0),
  };
}
