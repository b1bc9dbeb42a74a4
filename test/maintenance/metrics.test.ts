// The metrics that operators of etcd look at beyond its published dashboard and alerts: each by
// name, type and labels, on a member that has done a little of everything, with values that add up.

import { afterAll, beforeAll, expect, test } from "vitest";
import {
  HashRequest,
  HashResponse,
  LeaseGrantRequest,
  LeaseGrantResponse,
} from "../../src/wire/index.ts";
import { ClusterProcesses } from "../support/processes.ts";
import { Calls } from "./calls.ts";

type Row = readonly [name: string, type: "counter" | "gauge" | "histogram", labels?: string];

/** Labels as a dashboard selects them; a row without any has a series without. */
const rows: readonly Row[] = [
  ["etcd_server_is_leader", "gauge"],
  ["etcd_server_is_learner", "gauge"],
  ["etcd_server_id", "gauge", "server_id"],
  ["etcd_server_version", "gauge", "server_version"],
  ["etcd_server_slow_apply_total", "counter"],
  ["etcd_server_slow_read_indexes_total", "counter"],
  ["etcd_server_read_indexes_failed_total", "counter"],
  ["etcd_server_heartbeat_send_failures_total", "counter"],
  ["etcd_server_health_success", "counter"],
  ["etcd_server_health_failures", "counter"],
  ["etcd_server_healthcheck", "gauge", "type,name"],
  ["etcd_server_healthchecks_total", "counter", "type,name,status"],
  ["etcd_server_client_requests_total", "counter", "type,client_api_version"],
  ["etcd_server_apply_duration_seconds", "histogram", "version,op,success"],
  ["etcd_server_range_duration_seconds", "histogram", "success"],
  ["etcd_server_request_duration_seconds", "histogram", "type,success"],
  ["etcd_server_feature_enabled", "gauge", "name,stage"],
  ["etcd_server_snapshot_apply_in_progress_total", "gauge"],
  ["etcd_server_learner_promote_successes", "counter"],
  ["etcd_server_quota_backend_bytes", "gauge"],
  ["etcd_cluster_version", "gauge", "cluster_version"],
  ["etcd_mvcc_range_total", "counter"],
  ["etcd_mvcc_put_total", "counter"],
  ["etcd_mvcc_delete_total", "counter"],
  ["etcd_mvcc_txn_total", "counter"],
  ["etcd_mvcc_hash_duration_seconds", "histogram"],
  ["etcd_mvcc_hash_rev_duration_seconds", "histogram"],
  ["etcd_disk_wal_write_bytes_total", "gauge"],
  ["etcd_disk_wal_write_duration_seconds", "histogram"],
  ["etcd_disk_defrag_inflight", "gauge"],
  ["etcd_disk_backend_defrag_duration_seconds", "histogram"],
  ["etcd_disk_backend_snapshot_duration_seconds", "histogram"],
  ["etcd_network_active_peers", "gauge", "Local,Remote"],
  ["etcd_network_disconnected_peers_total", "counter", "Local,Remote"],
  ["etcd_network_known_peers", "gauge", "Local,Remote"],
  ["etcd_network_server_stream_failures_total", "counter", "Type,API"],
  // Read by the dashboard 3070 at grafana.com, which knows etcd's older names.
  ["etcd_debugging_mvcc_db_total_size_in_bytes", "gauge"],
  ["etcd_debugging_snap_save_total_duration_seconds", "histogram"],
  ["etcd_debugging_mvcc_keys_total", "gauge"],
  ["etcd_debugging_mvcc_current_revision", "gauge"],
  ["etcd_debugging_mvcc_compact_revision", "gauge"],
  ["etcd_debugging_mvcc_watcher_total", "gauge"],
  ["etcd_debugging_mvcc_watch_stream_total", "gauge"],
  ["etcd_debugging_mvcc_slow_watcher_total", "gauge"],
  ["etcd_debugging_mvcc_events_total", "counter"],
  ["etcd_debugging_mvcc_pending_events_total", "gauge"],
  ["etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds", "histogram"],
  ["etcd_debugging_mvcc_db_compaction_total_duration_milliseconds", "histogram"],
  ["etcd_debugging_mvcc_db_compaction_last", "gauge"],
  ["etcd_debugging_mvcc_db_compaction_keys_total", "counter"],
  ["etcd_debugging_mvcc_total_put_size_in_bytes", "gauge"],
  ["etcd_debugging_lease_granted_total", "counter"],
  ["etcd_debugging_lease_renewed_total", "counter"],
  ["etcd_debugging_lease_revoked_total", "counter"],
  ["etcd_debugging_lease_ttl_total", "histogram"],
  ["etcd_debugging_server_lease_expired_total", "counter"],
  ["etcd_debugging_server_alarms", "gauge", "server_id,alarm_type"],
  ["os_fd_used", "gauge"],
  ["os_fd_limit", "gauge"],
];

let cluster: ClusterProcesses;
let client: Calls;
beforeAll(async () => {
  cluster = await ClusterProcesses.start(3, ["--quota-backend-bytes=4000000"]);
  client = new Calls(cluster.endpoints[0] ?? "");
}, 60_000);
afterAll(async () => {
  client.close();
  await cluster[Symbol.asyncDispose]();
});

async function pageOf(endpoint = cluster.endpoints[0] ?? ""): Promise<string[]> {
  return (await (await fetch(`http://${endpoint}/metrics`)).text()).split("\n");
}

function lacking(page: readonly string[]): string[] {
  return rows.flatMap(([name, type, labels]) => {
    const sample = type === "histogram" ? `${name}_bucket` : name;
    const series = page.filter((line) => new RegExp(`^${sample}[{ ]`).test(line));
    const named = (labels ?? "").split(",").every((label) => label === "" || has(series, label));
    const isTyped = page.includes(`# TYPE ${name} ${type}`);
    return isTyped && series.length > 0 && named ? [] : [`${name} ${type} ${labels ?? ""}`];
  });
}

const has = (series: readonly string[], label: string): boolean =>
  series.some((line) => line.includes(`${label}="`));

/** The value of a series by its whole name, labels included. */
function valueOf(page: readonly string[], series: string): number {
  return Number(page.find((line) => line.startsWith(`${series} `))?.slice(series.length + 1));
}

test("every metric of the reference is there, and what was done shows in it", async () => {
  const [endpoint = "", killed = ""] = cluster.endpoints;
  const before = await pageOf();
  for (let i = 0; i < 20; i++) {
    await client.put("metrics/key", `value-${i}`);
  }
  await client.range({ key: Buffer.from("metrics/key") });
  await client.range({ key: Buffer.from("x"), revision: 1_000_000 }).catch(() => undefined);
  const { header } = await client.put("metrics/last", "v");
  await client.compact(header?.revision ?? 0);
  await client.call(
    "/etcdserverpb.Lease/LeaseGrant",
    LeaseGrantRequest,
    LeaseGrantResponse,
    LeaseGrantRequest.create({ ttl: 100 }),
    5_000,
  );
  await client.call("/etcdserverpb.Maintenance/Hash", HashRequest, HashResponse, {}, 20_000);
  await client.hashKv();
  await client.defragment();
  for (const path of ["/health", "/livez", "/readyz"]) {
    await fetch(`http://${endpoint}${path}`);
  }
  // Fills the store, so that an alarm is up.
  for (let i = 0; i < 40; i++) {
    await client.putBytes(`metrics/${i}`, Buffer.alloc(150_000, i)).catch(() => undefined);
  }
  await cluster.members.find((member) => member.endpoint === killed)?.stop("SIGKILL");
  await expect.poll(async () => lacking(await pageOf()), { timeout: 20_000 }).toEqual([]);

  const after = await pageOf();
  const rise = (series: string): number => valueOf(after, series) - (valueOf(before, series) || 0);
  const puts = 'etcd_server_apply_duration_seconds_count{version="v3",op="Put",success="true"}';
  expect(rise(puts)).toBeGreaterThanOrEqual(21);
  expect(rise('etcd_server_range_duration_seconds_count{success="true"}')).toBeGreaterThan(0);
  expect(rise('etcd_server_range_duration_seconds_count{success="false"}')).toBe(1);
  expect(rise("etcd_mvcc_hash_duration_seconds_count")).toBe(1);
  expect(rise("etcd_mvcc_hash_rev_duration_seconds_count")).toBeGreaterThanOrEqual(1);
  expect(rise("etcd_disk_backend_defrag_duration_seconds_count")).toBeGreaterThanOrEqual(1);
  expect(rise("etcd_debugging_lease_ttl_total_sum")).toBe(100);
  expect(rise("etcd_debugging_mvcc_total_put_size_in_bytes")).toBeGreaterThan(1_000_000);
  expect(rise("etcd_disk_wal_write_bytes_total")).toBeGreaterThan(1_000_000);
  expect(rise("etcd_debugging_mvcc_db_compaction_total_duration_milliseconds_count")).toBe(1);
  expect(valueOf(after, "etcd_debugging_mvcc_db_compaction_last")).toBeGreaterThan(1.7e9);
  expect(after.filter((line) => line.startsWith("etcd_network_known_peers{"))).toHaveLength(2);
  expect(valueOf(after, 'etcd_server_feature_enabled{name="LeaseCheckpoint",stage="ALPHA"}')).toBe(
    1,
  );
}, 90_000);
