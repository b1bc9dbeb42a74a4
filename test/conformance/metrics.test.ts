// The metrics that etcd's published dashboard and alert rules ask for, on members of a cluster
// that has served a little: by name, type and the labels that the rules select or group by.

import { afterAll, beforeAll, expect, test } from "vitest";
import { ClusterProcesses } from "../support/processes.ts";
import { RawClient } from "./raw-client.ts";
import { eventually, leaderOf } from "./targets.ts";

/** Name, type, and the labels that a series must have. */
const wanted: readonly (readonly [name: string, type: string, labels: readonly string[]])[] = [
  ["etcd_server_has_leader", "gauge", []],
  ["etcd_server_leader_changes_seen_total", "counter", []],
  ["etcd_server_proposals_committed_total", "gauge", []],
  ["etcd_server_proposals_applied_total", "gauge", []],
  ["etcd_server_proposals_pending", "gauge", []],
  ["etcd_server_proposals_failed_total", "counter", []],
  ["etcd_server_quota_backend_bytes", "gauge", []],
  ["etcd_mvcc_db_total_size_in_bytes", "gauge", []],
  ["etcd_mvcc_db_total_size_in_use_in_bytes", "gauge", []],
  ["etcd_disk_wal_fsync_duration_seconds", "histogram", []],
  ["etcd_disk_backend_commit_duration_seconds", "histogram", []],
  ["etcd_network_client_grpc_sent_bytes_total", "counter", []],
  ["etcd_network_client_grpc_received_bytes_total", "counter", []],
  ["etcd_network_peer_sent_bytes_total", "counter", ["To"]],
  ["etcd_network_peer_received_bytes_total", "counter", ["From"]],
  ["etcd_network_peer_round_trip_time_seconds", "histogram", ["To"]],
  ["grpc_server_started_total", "counter", ["grpc_type", "grpc_service", "grpc_method"]],
  [
    "grpc_server_handled_total",
    "counter",
    ["grpc_type", "grpc_service", "grpc_method", "grpc_code"],
  ],
  ["grpc_server_handling_seconds", "histogram", ["grpc_type", "grpc_service", "grpc_method"]],
  ["process_resident_memory_bytes", "gauge", []],
];

let cluster: ClusterProcesses;
beforeAll(async () => {
  cluster = await ClusterProcesses.start(3);
  await leaderOf(cluster);
});
afterAll(() => cluster[Symbol.asyncDispose]());

/** What a page lacks of `wanted`, a line each. */
function lacking(page: string): string[] {
  const lines = page.split("\n");
  return wanted.flatMap(([name, type, labels]) => {
    const missing = lines.includes(`# TYPE ${name} ${type}`) ? [] : [`${name}: no ${type}`];
    const sample = type === "histogram" ? `${name}_bucket` : name;
    const series = lines.filter((line) => new RegExp(`^${sample}[{ ]`).test(line));
    if (!series.some((line) => labels.every((label) => line.includes(`${label}="`)))) {
      missing.push(`${name}: no series with (${labels.join(", ")})`);
    }
    return missing;
  });
}

test("every member has what etcd's dashboard and alerts read", async () => {
  for (const endpoint of cluster.endpoints) {
    using client = new RawClient(endpoint);
    await client.call("put", { key: Buffer.from("k"), value: Buffer.from("v") });
    await client.call("range", { key: Buffer.from("k") });
    await eventually(
      async () => lacking(await (await fetch(`http://${endpoint}/metrics`)).text()),
      (missing) => expect(missing).toEqual([]),
      15_000,
    );
  }
});

test("a peer that is gone shows as failed sends", async () => {
  await cluster.members.at(-1)?.stop("SIGKILL");
  await eventually(
    async () => {
      const rest = cluster.endpoints.slice(0, -1);
      const pages = rest.map(async (at) => (await fetch(`http://${at}/metrics`)).text());
      return (await Promise.all(pages)).join("");
    },
    (page) => {
      expect(page).toContain("# TYPE etcd_network_peer_sent_failures_total counter\n");
      expect(page).toMatch(/^etcd_network_peer_sent_failures_total\{To="[0-9a-f]+"\} [1-9]/m);
    },
  );
});
