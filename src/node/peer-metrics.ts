// What the links to the peers observe, under etcd's names.

import { exponentialBuckets, idToHex } from "../base/index.ts";
import type { Counter, MemberId, MetricFamily, MetricsRegistry } from "../base/index.ts";
import type { PeerMetrics } from "../peer/index.ts";

/** Makes the metrics of the links in `registry`. */
export function peerMetrics(registry: MetricsRegistry): PeerMetrics {
  const family = (name: string, help: string, label: string): MetricFamily<Counter> =>
    registry.counterFamily(name, help, [label]);
  const sentBytes = family(
    "etcd_network_peer_sent_bytes_total",
    "The total number of bytes sent to peers.",
    "To",
  );
  const receivedBytes = family(
    "etcd_network_peer_received_bytes_total",
    "The total number of bytes received from peers.",
    "From",
  );
  const sendFailures = family(
    "etcd_network_peer_sent_failures_total",
    "The total number of send failures to peers.",
    "To",
  );
  const receiveFailures = family(
    "etcd_network_peer_received_failures_total",
    "The total number of receive failures from peers.",
    "From",
  );
  const refused = family(
    "quorate_network_peer_refused_total",
    "The total number of connections refused at the handshake.",
    "reason",
  );
  const disconnected = family(
    "etcd_network_disconnected_peers_total",
    "The total number of disconnected peers.",
    "Remote",
  );
  const active = registry.gaugeFamily(
    "etcd_network_active_peers",
    "The current number of active peer connections.",
    ["Remote"],
  );
  const roundTrip = registry.histogramFamily(
    "etcd_network_peer_round_trip_time_seconds",
    "Round-trip time histogram between peers.",
    ["To"],
    exponentialBuckets(0.0001, 2, 16),
  );
  const snapshots = family(
    "etcd_network_snapshot_send_success",
    "Total number of successful snapshot sends.",
    "To",
  );
  const snapshotFailures = family(
    "etcd_network_snapshot_send_failures",
    "Total number of snapshot send failures.",
    "To",
  );
  const received = family(
    "etcd_network_snapshot_receive_success",
    "Total number of successful snapshot receives.",
    "From",
  );
  const name = (id: MemberId): string => idToHex(id);
  return {
    sent: (to, bytes) => sentBytes.with(name(to)).inc(bytes),
    received: (from, bytes) => receivedBytes.with(name(from)).inc(bytes),
    sendFailed: (to, frames) => sendFailures.with(name(to)).inc(frames),
    receiveFailed: (from) => receiveFailures.with(name(from)).inc(),
    roundTrip: (to, milliseconds) => roundTrip.with(name(to)).observe(milliseconds / 1000),
    refused: (reason) => refused.with(reason).inc(),
    connected: (to, isConnected) => {
      active.with(name(to)).set(isConnected ? 1 : 0);
      if (!isConnected) {
        disconnected.with(name(to)).inc();
      }
    },
    snapshotSent: (to, _bytes, _milliseconds, delivered) =>
      (delivered ? snapshots : snapshotFailures).with(name(to)).inc(),
    snapshotReceived: (from, _bytes, _milliseconds, whole) => {
      if (whole) {
        received.with(name(from)).inc();
      }
    },
  };
}
