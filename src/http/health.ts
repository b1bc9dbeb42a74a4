// /health, /livez and /readyz, as etcd answers them.
//
// /health is the old one: alarms, leader, then a read, in one JSON word. /livez asks whether this
// process should be restarted (it can read its own state), /readyz whether it should get traffic
// (no corruption, reads of both kinds, not a learner). Each check has a path of its own too.

import type { Counter, Logger, MetricFamily, MetricsRegistry } from "../base/index.ts";
import type { Gauge } from "../base/index.ts";
import { noMember } from "../base/index.ts";
import type { HttpReply, HttpRequest } from "../grpc/contract.ts";
import type { Alarm, NodeHandle } from "../node/handle.ts";
import { errorReply, type HttpHandler, onlyGet, queryOf, textReply } from "./reply.ts";

type CheckName = "data_corruption" | "serializable_read" | "linearizable_read" | "non_learner";

const probes: Readonly<Record<string, readonly CheckName[]>> = {
  livez: ["serializable_read"],
  readyz: ["data_corruption", "serializable_read", "linearizable_read", "non_learner"],
};

const alarmNames = { noSpace: "NOSPACE", corrupt: "CORRUPT" } as const;
const smallestKey = new Uint8Array(1);

export class HealthChecks {
  readonly #handle: NodeHandle;
  readonly #logger: Logger;
  readonly #succeeded: Counter;
  readonly #failed: Counter;
  readonly #result: MetricFamily<Gauge>;
  readonly #count: MetricFamily<Counter>;

  constructor(handle: NodeHandle, registry: MetricsRegistry, logger: Logger) {
    this.#handle = handle;
    this.#logger = logger;
    this.#succeeded = registry.counter(
      "etcd_server_health_success",
      "Health checks that succeeded.",
    );
    this.#failed = registry.counter("etcd_server_health_failures", "Health checks that failed.");
    this.#result = registry.gaugeFamily(
      "etcd_server_healthcheck",
      "Last result of each check of /livez and /readyz: 1 for success.",
      ["type", "name"],
    );
    this.#count = registry.counterFamily(
      "etcd_server_healthchecks_total",
      "Checks of /livez and /readyz by result.",
      ["type", "name", "status"],
    );
  }

  /** Every path served, with its handler. */
  routes(): readonly (readonly [string, HttpHandler])[] {
    const routes: [string, HttpHandler][] = [
      ["/health", onlyGet((request) => this.#health(request))],
    ];
    for (const [probe, checks] of Object.entries(probes)) {
      routes.push([
        `/${probe}`,
        onlyGet((request) => {
          const excluded = queryOf(request).getAll("exclude");
          const wanted = checks.filter((check) => !excluded.includes(check));
          return this.#probe(probe, wanted, request);
        }),
      ]);
      for (const check of checks) {
        routes.push([
          `/${probe}/${check}`,
          onlyGet((request) => this.#probe(probe, [check], request)),
        ]);
      }
    }
    return routes;
  }

  async #health(request: HttpRequest): Promise<HttpReply> {
    const query = queryOf(request);
    const reason = await this.#reason(
      query.getAll("exclude"),
      query.get("serializable") === "true",
    );
    if (reason === "") {
      this.#succeeded.inc();
      return textReply(JSON.stringify({ health: "true", reason: "" }));
    }
    this.#failed.inc();
    this.#logger.warn({ reason }, "health check failed");
    return errorReply(503, JSON.stringify({ health: "false", reason }));
  }

  /** Why /health fails; empty when it does not. */
  async #reason(excluded: readonly string[], serializable: boolean): Promise<string> {
    try {
      const alarms = await this.#alarms();
      const alarm = alarms.find(({ kind }) => !excluded.includes(alarmNames[kind]));
      if (alarm !== undefined) {
        return `ALARM ${alarmNames[alarm.kind]}`;
      }
      if (!serializable && this.#handle.status().leader === noMember) {
        return "RAFT NO LEADER";
      }
      await this.#read(!serializable);
      return "";
    } catch (error) {
      return `RANGE ERROR:${textOf(error)}`;
    }
  }

  async #probe(
    probe: string,
    checks: readonly CheckName[],
    request: HttpRequest,
  ): Promise<HttpReply> {
    let report = "";
    let healthy = true;
    for (const check of checks) {
      const failure = await this.#run(check);
      const ok = failure === undefined;
      healthy &&= ok;
      report += ok ? `[+]${check} ok\n` : `[-]${check} failed: ${failure}\n`;
      this.#result.with(probe, check).set(ok ? 1 : 0);
      this.#count.with(probe, check, ok ? "success" : "error").inc();
    }
    if (!healthy) {
      this.#logger.warn({ probe, report }, "health check failed");
      return errorReply(503, report);
    }
    return textReply(queryOf(request).has("verbose") ? `${report}ok\n` : "ok\n");
  }

  /** Why a check fails, or undefined. */
  async #run(check: CheckName): Promise<string | undefined> {
    try {
      switch (check) {
        case "data_corruption": {
          const corrupt = (await this.#alarms()).some(({ kind }) => kind === "corrupt");
          return corrupt ? "alarm activated: CORRUPT" : undefined;
        }
        case "serializable_read":
          await this.#read(false);
          return undefined;
        case "linearizable_read":
          await this.#read(true);
          return undefined;
        case "non_learner":
          return this.#handle.status().isLearner ? "not supported for learner" : undefined;
      }
    } catch (error) {
      return textOf(error);
    }
  }

  async #alarms(): Promise<readonly Alarm[]> {
    return await this.#handle.read(false, (state) => state.alarms());
  }

  async #read(linearizable: boolean): Promise<void> {
    await this.#handle.read(linearizable, ({ store }) => store.meta(smallestKey));
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
