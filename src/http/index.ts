// http: plain HTTP on the client port. Health, readiness, version and metrics, as etcd answers
// them, for probes, load balancers and Prometheus (health.ts, process-metrics.ts); and etcd's JSON
// gateway to the services of the API (gateway.ts, json.ts).
//
// A request is a value, a reply is a value (reply.ts), and routes are a table from path to handler;
// server.ts brings HTTP/1.1, and the gRPC server hands over requests of HTTP/2 that are not gRPC.
//
// Rules: only the gateway may change anything, and only by way of the services, whose checks and
// errors are then those of gRPC. Other methods than a path's own are answered with 405 and other
// paths with 404, in Go's words. Cross-origin requests are allowed as etcd allows them.
//
// Limits: bodies are read whole, within the request limit; replies that never end (watch) go over
// HTTP/1.1 only.

import type { Server } from "node:http";
import type { Logger, MetricsRegistry } from "../base/index.ts";
import type { HttpReply, HttpRequest } from "../grpc/contract.ts";
import type { NodeHandle } from "../node/handle.ts";
import { Gateway, type GatewayOptions } from "./gateway.ts";
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
import { createHttpServer } from "./server.ts";

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
}

export interface HttpDoor {
  /** For GrpcServerOptions.onHttpRequest: what comes over HTTP/2 without being gRPC. */
  readonly handle: (request: HttpRequest) => Promise<HttpReply>;
  /** For ClientPortOptions.http: what comes over HTTP/1.1. */
  readonly server: Server;
  /** Stops what it samples; connections are the client port's to close. */
  close(): void;
}

const crossOriginHeaders = [
  ["access-control-allow-headers", "accept, content-type, authorization"],
  ["access-control-allow-methods", "POST, GET, OPTIONS, PUT, DELETE"],
  ["access-control-allow-origin", "*"],
] as const;

/** The text format of Prometheus that metrics.ts of base writes. */
const metricsContentType = "text/plain; version=0.0.4; charset=utf-8";

export function createHttpDoor(options: HttpOptions): HttpDoor {
  registerVersions(options.metrics, options.versions);
  const stopSampling = registerProcessMetrics(options.metrics);
  const routes = new Map<string, HttpHandler>([
    ...new HealthChecks(options.handle, options.metrics, options.logger).routes(),
    ["/version", onlyGet(() => versionReply(options.versions))],
    ["/metrics", () => reply(200, metricsContentType, options.metrics.render())],
  ]);
  const gateway = options.gateway === undefined ? undefined : new Gateway(options.gateway);
  const handle = async (request: DoorRequest): Promise<DoorReply> => {
    if (request.method === "OPTIONS") {
      return withCrossOrigin({ status: 200, headers: [], body: new Uint8Array(0) });
    }
    const path = pathOf(request);
    const answer = routes.get(path)?.(request) ?? gateway?.handle(path, request);
    return withCrossOrigin(await (answer ?? errorReply(404, "404 page not found")));
  };
  return {
    handle: async (request) => whole(await handle(request)),
    server: createHttpServer(handle, options.bodyBytesMax, options.logger),
    close: stopSampling,
  };
}

/** Where replies must be whole, those that never end are refused. */
function whole(answer: DoorReply): HttpReply {
  return "stream" in answer ? errorReply(501, "streams need HTTP/1.1 here") : answer;
}

function versionReply({ etcdServer, etcdCluster, storage, quorate }: HttpVersions): HttpReply {
  return jsonReply({ etcdserver: etcdServer, etcdcluster: etcdCluster, storage, quorate });
}

function withCrossOrigin(answer: DoorReply): DoorReply {
  if (!("stream" in answer)) {
    return crossOrigin(answer);
  }
  return { stream: (sink) => answer.stream(crossOriginSink(sink)) };
}

function crossOrigin(answer: HttpReply): HttpReply {
  return { ...answer, headers: [...crossOriginHeaders, ...answer.headers] };
}

function crossOriginSink(sink: StreamSink): StreamSink {
  return {
    start: (status, headers) => sink.start(status, [...crossOriginHeaders, ...headers]),
    write: (text) => sink.write(text),
    end: () => sink.end(),
    replyInstead: (answer) => sink.replyInstead(crossOrigin(answer)),
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
