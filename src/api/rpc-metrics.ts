// What is counted about calls, under the names of etcd and of go-grpc-prometheus, which dashboards
// and alerts written for etcd look for.

import type { Counter, Histogram, MetricFamily, MetricsRegistry } from "../base/index.ts";
import { exponentialBuckets, grpcStatus, type GrpcStatus } from "../base/index.ts";
import { type Rpc, rpcPath, rpcTable } from "./rpc-table.ts";

const grpcTypes = {
  unary: "unary",
  serverStream: "server_stream",
  bidiStream: "bidi_stream",
} as const;

/** go-grpc's names of the codes, by number. */
const codeNames = [
  "OK",
  "Canceled",
  "Unknown",
  "InvalidArgument",
  "DeadlineExceeded",
  "NotFound",
  "AlreadyExists",
  "PermissionDenied",
  "ResourceExhausted",
  "FailedPrecondition",
  "Aborted",
  "OutOfRange",
  "Unimplemented",
  "Internal",
  "Unavailable",
  "DataLoss",
  "Unauthenticated",
] as const;

/** Client versions told apart; beyond it they count as "other", since clients choose the text. */
const clientVersionsMax = 64;

/** Of one method. Its counters are there from the start, so that rates have a zero to rise from. */
interface RpcSeries {
  readonly labels: readonly [string, string, string];
  readonly started: Counter;
  /** By gRPC code. */
  readonly handled: (Counter | undefined)[];
  seconds: Histogram | undefined;
  succeeded: Histogram | undefined;
  failed: Histogram | undefined;
}

export class RpcMetrics {
  readonly #series = new Map<string, RpcSeries>();
  readonly #handled: MetricFamily<Counter>;
  readonly #seconds: MetricFamily<Histogram>;
  readonly #durations: MetricFamily<Histogram>;
  readonly #received: Counter;
  readonly #sent: Counter;
  readonly #clientRequests: MetricFamily<Counter>;
  readonly #clientVersions = new Map<string, Counter>();

  constructor(registry: MetricsRegistry) {
    const labels = ["grpc_type", "grpc_service", "grpc_method"];
    const started = registry.counterFamily(
      "grpc_server_started_total",
      "RPCs started on the server.",
      labels,
    );
    this.#handled = registry.counterFamily(
      "grpc_server_handled_total",
      "RPCs completed on the server, whatever the outcome.",
      [...labels, "grpc_code"],
    );
    this.#seconds = registry.histogramFamily(
      "grpc_server_handling_seconds",
      "Time from the start of an RPC to its end, seconds.",
      labels,
    );
    this.#durations = registry.histogramFamily(
      "etcd_server_request_duration_seconds",
      "Time to answer a request, by type, seconds.",
      ["type", "success"],
      exponentialBuckets(0.001, 2, 14),
    );
    for (const rpc of rpcTable) {
      const values = [grpcTypes[rpc.kind], rpc.service, rpc.method] as const;
      this.#series.set(rpcPath(rpc), {
        labels: values,
        started: started.with(...values),
        handled: [this.#handled.with(...values, "OK")],
        seconds: undefined,
        succeeded: undefined,
        failed: undefined,
      });
    }
    this.#received = registry.counter(
      "etcd_network_client_grpc_received_bytes_total",
      "Bytes received from gRPC clients.",
    );
    this.#sent = registry.counter(
      "etcd_network_client_grpc_sent_bytes_total",
      "Bytes sent to gRPC clients.",
    );
    this.#clientRequests = registry.counterFamily(
      "etcd_server_client_requests_total",
      "Client requests by the API version that the client says it speaks.",
      ["type", "client_api_version"],
    );
  }

  started(rpc: Rpc): Counter {
    const series = this.#series.get(rpcPath(rpc));
    if (series === undefined) {
      throw new TypeError(`not in the table: ${rpcPath(rpc)}`);
    }
    return series.started;
  }

  clientRequest(type: "unary" | "stream", version: string): void {
    const id = type + version;
    let counter = this.#clientVersions.get(id);
    if (counter === undefined) {
      const known = this.#clientVersions.size < clientVersionsMax;
      counter = this.#clientRequests.with(type, known ? version : "other");
      if (known) {
        this.#clientVersions.set(id, counter);
      }
    }
    counter.inc();
  }

  /** For GrpcServerOptions.onCallEnd. Paths that are not served are not counted. */
  readonly callEnded = (path: string, status: GrpcStatus, elapsedMs: number): void => {
    const series = this.#series.get(path);
    if (series === undefined) {
      return;
    }
    let handled = series.handled[status];
    if (handled === undefined) {
      handled = this.#handled.with(...series.labels, codeNames[status]);
      series.handled[status] = handled;
    }
    handled.inc();
    const seconds = elapsedMs / 1_000;
    series.seconds ??= this.#seconds.with(...series.labels);
    series.seconds.observe(seconds);
    const method = series.labels[2];
    if (status === grpcStatus.ok) {
      series.succeeded ??= this.#durations.with(method, "true");
      series.succeeded.observe(seconds);
    } else {
      series.failed ??= this.#durations.with(method, "false");
      series.failed.observe(seconds);
    }
  };

  /** For GrpcServerOptions.onTraffic. */
  readonly traffic = (receivedBytes: number, sentBytes: number): void => {
    this.#received.inc(receivedBytes);
    this.#sent.inc(sentBytes);
  };
}
