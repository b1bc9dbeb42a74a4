// http: plain HTTP on the client port. Health, readiness, version and metrics, as etcd answers
// them, for probes, load balancers and Prometheus (health.ts, process-metrics.ts); and etcd's JSON
// gateway to the services of the API (gateway.ts, json.ts).
//
// A request is a value, a reply is a value (reply.ts), and routes are a table from path to handler;
// server.ts brings HTTP/1.1, and the gRPC server hands over requests of HTTP/2 that are not gRPC.
//
// Rules: only the gateway may change anything, and only by way of the services, whose checks and
// errors are then those of gRPC. Other methods than a path's own are answered with 405 and other
// paths with 404, in Go's words. Which web pages may call, and under which host names, is for
// access.ts to say, before anything else is looked at. Addresses for monitoring alone have health
// and /metrics and no such rules.
//
// Limits: bodies are read whole, within the request limit; WebSockets (websocket.ts,
// gateway-socket.ts) go over HTTP/1.1 only.

import type { Server } from "node:http";
import type { Logger, MetricsRegistry } from "../base/index.ts";
import type { HttpReply, HttpRequest } from "../grpc/contract.ts";
import type { NodeHandle } from "../node/handle.ts";
import { type AccessLists, AccessRules } from "./access.ts";
import { Gateway, type GatewayOptions } from "./gateway.ts";
import { openGatewaySocket } from "./gateway-socket.ts";
import { HealthChecks } from "./health.ts";
import { registerProcessMetrics } from "./process-metrics.ts";
import {
  type DoorReply,
  type DoorRequest,
  errorReply,
  type HttpHandler,
  jsonReply,
  onlyGet,
  pathOf,
  reply,
  type StreamSink,
} from "./reply.ts";
import { createHttpServer, type DoorHandlers } from "./server.ts";
import { variablesReply } from "./variables.ts";

export type { AccessLists } from "./access.ts";
export type { GatewayOptions } from "./gateway.ts";
export { createPeerHttpServer } from "./peer-door.ts";

export interface HttpVersions {
  /** The etcd version that this server passes for, e.g. "3.6.7". */
  readonly etcdServer: string;
  readonly etcdCluster: string;
  readonly storage: string;
  readonly quorate: string;
}

export interface HttpOptions {
  readonly handle: NodeHandle;
  readonly metrics: MetricsRegistry;
  readonly logger: Logger;
  readonly versions: HttpVersions;
  /** Largest request body, bytes. */
  readonly bodyBytesMax: number;
  /** What POST /v3/... calls; undefined turns the JSON gateway off. */
  readonly gateway?: GatewayOptions | undefined;
  /** Everybody unless told. */
  readonly access?: AccessLists | undefined;
}

/** One way in: the same paths over HTTP/2 and HTTP/1.1. */
export interface HttpEntrance {
  /** For GrpcServerOptions.onHttpRequest: what comes over HTTP/2 without being gRPC. */
  readonly handle: (request: HttpRequest) => Promise<DoorReply>;
  /** For ClientPortOptions.http: what comes over HTTP/1.1. */
  readonly server: Server;
}

export interface HttpDoor extends HttpEntrance {
  /** Health and metrics alone, for addresses of their own. */
  readonly monitoring: HttpEntrance;
  /** Stops what it samples; connections are the client port's to close. */
  close(): void;
}

/** The text format of Prometheus that metrics.ts of base writes. */
const metricsContentType = "text/plain; version=0.0.4; charset=utf-8";

export function createHttpDoor(options: HttpOptions): HttpDoor {
  registerVersions(options.metrics, options.versions);
  const stopSampling = registerProcessMetrics(options.metrics);
  const monitoring = new Map<string, HttpHandler>([
    ...new HealthChecks(options.handle, options.metrics, options.logger).routes(),
    ["/metrics", () => reply(200, metricsContentType, options.metrics.render())],
  ]);
  const routes = new Map<string, HttpHandler>([
    ...monitoring,
    ["/version", onlyGet(() => versionReply(options.versions))],
    ["/debug/vars", onlyGet(() => variablesReply(options.handle.status()))],
  ]);
  const monitor = (request: DoorRequest): DoorReply | Promise<DoorReply> =>
    monitoring.get(pathOf(request))?.(request) ?? notFound();
  return {
    ...entrance(clientHandlers(routes, options), options),
    monitoring: entrance({ handle: monitor }, options),
    close: stopSampling,
  };
}

function entrance(handlers: DoorHandlers, { bodyBytesMax, logger }: HttpOptions): HttpEntrance {
  return {
    handle: async (request) => handlers.handle(request),
    server: createHttpServer(handlers, bodyBytesMax, logger),
  };
}

/** Everything, by the rules of access. */
function clientHandlers(
  routes: ReadonlyMap<string, HttpHandler>,
  options: HttpOptions,
): DoorHandlers {
  const access = new AccessRules(options.access ?? { corsOrigins: ["*"], hostNames: ["*"] });
  const gateway = options.gateway === undefined ? undefined : new Gateway(options.gateway);
  return {
    handle: async (request) => {
      const refusal = access.hostRefusal(request);
      if (refusal !== undefined) {
        options.logger.warn({ host: request.authority }, "refused an HTTP request for that host");
        return refusal;
      }
      const cors = access.corsHeaders(request);
      if (request.method === "OPTIONS") {
        return { status: 200, headers: cors, body: new Uint8Array(0) };
      }
      const path = pathOf(request);
      const answer = routes.get(path)?.(request) ?? gateway?.handle(path, request);
      return withHeaders(cors, await (answer ?? notFound()));
    },
    openWebSocket: (request, connection) => {
      const refusal = access.hostRefusal(request);
      if (refusal !== undefined) {
        return refusal;
      }
      const target = gateway?.find(pathOf(request));
      if (gateway === undefined || target === undefined) {
        return notFound();
      }
      if (!access.allowsOrigin(request)) {
        return errorReply(403, "Forbidden");
      }
      openGatewaySocket(gateway, target, request, connection, {
        messageBytesMax: options.bodyBytesMax,
        onUnexpected: (error) =>
          options.logger.error({ err: error }, "a call over a WebSocket failed unexpectedly"),
      });
      return undefined;
    },
  };
}

function notFound(): HttpReply {
  return errorReply(404, "404 page not found");
}

function versionReply({ etcdServer, etcdCluster, storage, quorate }: HttpVersions): HttpReply {
  return jsonReply({ etcdserver: etcdServer, etcdcluster: etcdCluster, storage, quorate });
}

function withHeaders(added: HttpReply["headers"], answer: DoorReply): DoorReply {
  if (!("stream" in answer)) {
    return { ...answer, headers: [...added, ...answer.headers] };
  }
  return { stream: (sink) => answer.stream(sinkWithHeaders(added, sink)) };
}

function sinkWithHeaders(added: HttpReply["headers"], sink: StreamSink): StreamSink {
  return {
    start: (status, headers) => sink.start(status, [...added, ...headers]),
    write: (text) => sink.write(text),
    end: () => sink.end(),
    replyInstead: (answer) =>
      sink.replyInstead({ ...answer, headers: [...added, ...answer.headers] }),
    onDrain: (callback) => sink.onDrain(callback),
    get queuedBytes() {
      return sink.queuedBytes;
    },
  };
}

function registerVersions(registry: MetricsRegistry, versions: HttpVersions): void {
  registry
    .gaugeFamily("etcd_server_version", "The version this server passes for.", ["server_version"])
    .with(versions.etcdServer)
    .set(1);
  registry
    .gaugeFamily("etcd_cluster_version", "The version of the cluster.", ["cluster_version"])
    .with(versions.etcdCluster)
    .set(1);
  registry
    .gaugeFamily("quorate_version", "The version of Quorate.", ["version"])
    .with(versions.quorate)
    .set(1);
}
