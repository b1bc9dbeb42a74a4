// api: the etcd v3 services over a NodeHandle, one file a service.
//
// The way of a call: the transport hands raw bytes to gate.ts (learner, client version, leader,
// and who calls, callers.ts), then to its service, which decodes, checks shape (validate.ts), and
// proposes a command with its caller, or reads what the caller may read.
// What comes back is encoded around stored bytes (replies.ts). Errors are thrown: QuorateError and
// DecodeError have their answer, anything else is a fault (errors.ts).
//
// Rules: nothing here changes the state but through `propose`; a request that fails a check has
// changed nothing; texts and codes are etcd's; the bytes of a client's request go into the log as
// they came. rpc-table.ts names every method there is; one without a handler answers
// UNIMPLEMENTED, as if it were unknown, which is what clients of newer versions look for.

import { grpcStatus, type GrpcStatus } from "../base/index.ts";
import type { GrpcServer, MethodHandler, Service } from "../grpc/index.ts";
import { RpcError } from "../grpc/index.ts";
import { authService } from "./auth.ts";
import { clusterService } from "./cluster.ts";
import { ApiContext, type ApiOptions } from "./context.ts";
import { electionService } from "./election.ts";
import { Gate } from "./gate.ts";
import { HealthService } from "./health.ts";
import { kvService } from "./kv.ts";
import { LeaderMonitor } from "./leader-monitor.ts";
import { leaseService } from "./lease.ts";
import { lockService } from "./lock.ts";
import { maintenanceService } from "./maintenance.ts";
import { QuotaGate } from "./quota.ts";
import { RpcMetrics } from "./rpc-metrics.ts";
import { reflectionServices } from "./reflection.ts";
import { type Rpc, type RpcKind, rpcTable } from "./rpc-table.ts";
import { SlowRequests } from "./slow-requests.ts";
import { watchService } from "./watch.ts";

export type { ApiOptions } from "./context.ts";
export { JwtTokens, type JwtOptions } from "./jwt.ts";
export { type Rpc, type RpcAccess, type RpcKind, rpcPath, rpcTable } from "./rpc-table.ts";

export interface Api {
  /** Every service of the table, each method guarded. */
  readonly services: readonly Service[];
  registerOn(server: GrpcServer): void;
  /** For GrpcServerOptions. */
  readonly onCallEnd: (path: string, status: GrpcStatus, elapsedMs: number) => void;
  readonly onTraffic: (receivedBytes: number, sentBytes: number) => void;
  /** Health turns to NOT_SERVING; call it before the server is closed. */
  shutdown(): void;
}

export function createApi(options: ApiOptions): Api {
  const api = new ApiContext(options);
  const metrics = new RpcMetrics(options.metrics);
  const slowRequests = new SlowRequests(options);
  const leader = new LeaderMonitor(api);
  const gate = new Gate(api, metrics, leader);
  const quota = new QuotaGate(api);
  const health = new HealthService(api);
  const written = [
    kvService(api, quota),
    watchService(api),
    leaseService(api, quota),
    clusterService(api),
    maintenanceService(api),
    authService(api),
    lockService(api, quota),
    electionService(api, quota),
    health,
    ...reflectionServices(api),
  ];
  const services = guardedServices(written, gate);
  return {
    services,
    registerOn: (server) => {
      for (const service of services) {
        server.register(service);
      }
    },
    onCallEnd: (path, status, elapsedMs) => {
      metrics.callEnded(path, status, elapsedMs);
      slowRequests.callEnded(path, status, elapsedMs);
    },
    onTraffic: metrics.traffic,
    shutdown: () => {
      health.shutdown();
      api.passwords.close();
      leader.close();
    },
  };
}

/** The services of the table, in its order: each method guarded, or unimplemented. */
function guardedServices(written: readonly Service[], gate: Gate): Service[] {
  const services = new Map<string, Record<string, MethodHandler>>();
  for (const rpc of rpcTable) {
    const methods = services.get(rpc.service) ?? {};
    services.set(rpc.service, methods);
    const handler = written.find(({ name }) => name === rpc.service)?.methods[rpc.method];
    methods[rpc.method] = gate.guard(rpc, handler ?? unimplemented(rpc));
  }
  return [...services].map(([name, methods]) => ({ name, methods }));
}

function unimplemented({ service, method, kind }: Rpc): MethodHandler {
  const error = (): RpcError =>
    new RpcError(grpcStatus.unimplemented, `unknown method ${method} for service ${service}`);
  return isStream(kind)
    ? { kind: "stream", handle: (call) => call.end(error()) }
    : {
        kind: "unary",
        handle: () => {
          throw error();
        },
      };
}

function isStream(kind: RpcKind): boolean {
  return kind !== "unary";
}
