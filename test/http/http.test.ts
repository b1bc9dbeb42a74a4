import { type AddressInfo, createServer, type Server } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MetricsRegistry, noMember, QuorateError, silentLogger } from "../../src/base/index.ts";
import { createHttpDoor, type HttpDoor } from "../../src/http/index.ts";
import { FakeNode, memberId } from "../api/fake-node.ts";

let node: FakeNode;
let metrics: MetricsRegistry;
let door: HttpDoor;
let port: Server;
let base: string;

beforeEach(async () => {
  node = new FakeNode();
  metrics = new MetricsRegistry();
  door = createHttpDoor({
    handle: node,
    metrics,
    logger: silentLogger,
    versions: { etcdServer: "3.6.7", etcdCluster: "3.6.0", storage: "3.6.0", quorate: "0.1.0" },
    bodyBytesMax: 1_000,
    gateway: undefined,
  });
  // What the client port does: without it node:http tracks no connections.
  door.server.emit("listening");
  port = createServer((socket) => door.server.emit("connection", socket));
  await new Promise<void>((resolve) => port.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(port.address() as AddressInfo).port}`;
});

afterEach(async () => {
  door.close();
  door.server.close();
  door.server.closeAllConnections();
  await new Promise((resolve) => port.close(resolve));
});

async function get(path: string, method = "GET"): Promise<[number, string]> {
  const response = await fetch(base + path, { method });
  return [response.status, await response.text()];
}

describe("/health", () => {
  it("is true when the member can serve a linearizable read", async () => {
    expect(await get("/health")).toEqual([200, '{"health":"true","reason":""}']);
    expect(node.reads.at(-1)).toBe(true);
    expect(metrics.render()).toContain("etcd_server_health_success 1\n");
  });

  it("is false without a leader, unless only this member is asked about", async () => {
    node.statusOverrides = { leader: noMember };
    expect(await get("/health")).toEqual([503, '{"health":"false","reason":"RAFT NO LEADER"}\n']);
    expect((await get("/health?serializable=true"))[0]).toBe(200);
    expect(node.reads.at(-1)).toBe(false);
    expect(metrics.render()).toContain("etcd_server_health_failures 1\n");
  });

  it("is false with an alarm, unless that is excluded", async () => {
    node.alarms = [{ memberId, kind: "noSpace" }];
    expect(await get("/health")).toEqual([503, '{"health":"false","reason":"ALARM NOSPACE"}\n']);
    expect((await get("/health?exclude=NOSPACE"))[0]).toBe(200);
    expect((await get("/health?exclude=CORRUPT"))[0]).toBe(503);
  });

  it("is false when the read fails", async () => {
    node.failWith = new QuorateError("timeout");
    expect(await get("/health")).toEqual([
      503,
      '{"health":"false","reason":"RANGE ERROR:etcdserver: request timed out"}\n',
    ]);
  });
});

describe("/livez and /readyz", () => {
  it("say ok, and what they looked at when asked", async () => {
    expect(await get("/livez")).toEqual([200, "ok\n"]);
    expect(await get("/livez?verbose")).toEqual([200, "[+]serializable_read ok\nok\n"]);
    expect(await get("/readyz?verbose&exclude=linearizable_read")).toEqual([
      200,
      "[+]data_corruption ok\n[+]serializable_read ok\n[+]non_learner ok\nok\n",
    ]);
    expect(await get("/readyz/linearizable_read")).toEqual([200, "ok\n"]);
    expect((await get("/livez/linearizable_read"))[0]).toBe(404);
  });

  it("say what failed", async () => {
    node.failWith = new QuorateError("noLeader");
    node.alarms = [{ memberId, kind: "corrupt" }];
    node.statusOverrides = { isLearner: true };
    const [status, text] = await get("/readyz");
    expect(status).toBe(503);
    expect(text).toBe(
      "[-]data_corruption failed: alarm activated: CORRUPT\n" +
        "[+]serializable_read ok\n" +
        "[-]linearizable_read failed: etcdserver: no leader\n" +
        "[-]non_learner failed: not supported for learner\n\n",
    );
    expect(await get("/livez")).toEqual([200, "ok\n"]);
    const lines = metrics.render();
    expect(lines).toContain('etcd_server_healthcheck{type="readyz",name="non_learner"} 0\n');
    expect(lines).toContain(
      'etcd_server_healthchecks_total{type="livez",name="serializable_read",status="success"} 1\n',
    );
  });
});

describe("/version", () => {
  it("gives etcd's versions and our own", async () => {
    const response = await fetch(`${base}/version`);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(await response.text()).toBe(
      '{"etcdserver":"3.6.7","etcdcluster":"3.6.0","storage":"3.6.0","quorate":"0.1.0"}',
    );
  });
});

describe("/metrics", () => {
  it("is Prometheus text of everything registered", async () => {
    metrics.counter("mine_total", "Mine.").inc(3);
    const response = await fetch(`${base}/metrics`);
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const text = await response.text();
    for (const line of [
      "mine_total 3",
      'etcd_server_version{server_version="3.6.7"} 1',
      'etcd_cluster_version{cluster_version="3.6.0"} 1',
      "# TYPE process_cpu_seconds_total counter",
      "# TYPE nodejs_eventloop_lag_p99_seconds gauge",
    ]) {
      expect(text).toContain(`${line}\n`);
    }
    for (const name of [
      "process_resident_memory_bytes",
      "process_open_fds",
      "process_max_fds",
      "process_start_time_seconds",
      "nodejs_heap_size_used_bytes",
      "os_fd_limit",
    ]) {
      const value = new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1];
      expect([name, Number(value) > 0]).toEqual([name, true]);
    }
  });
});

describe("everything else", () => {
  it("is refused in Go's words", async () => {
    expect(await get("/")).toEqual([404, "404 page not found\n"]);
    for (const path of ["/health", "/livez", "/readyz/non_learner", "/version"]) {
      expect(await get(path, "POST")).toEqual([405, "Method Not Allowed\n"]);
    }
    const refused = await fetch(`${base}/version`, { method: "PUT" });
    expect(refused.headers.get("allow")).toBe("GET");
  });

  it("lets browsers ask across origins, as etcd does", async () => {
    const asked = await fetch(`${base}/version`, { method: "OPTIONS" });
    expect([asked.status, asked.headers.get("access-control-allow-origin")]).toEqual([200, "*"]);
  });

  it("has a body limit", async () => {
    const body = "x".repeat(1_001);
    const response = await fetch(`${base}/metrics`, { method: "POST", body });
    expect(response.status).toBe(413);
  });

  it("survives a handler that throws", async () => {
    node.store.meta = () => {
      throw new TypeError("broken");
    };
    expect((await get("/livez"))[0]).toBe(503);
    node.status = () => {
      throw new TypeError("broken");
    };
    expect((await get("/readyz/non_learner"))[0]).toBe(503);
    metrics.render = () => {
      throw new TypeError("broken");
    };
    expect(await get("/metrics")).toEqual([500, "Internal Server Error\n"]);
  });
});
