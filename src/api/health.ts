// grpc.health.v1.Health: the service "" stands for the server as a whole, the only one known. It
// serves from the moment its port is open until it begins to close.

import { grpcStatus } from "../base/index.ts";
import { RpcError, type Service, type StreamCall } from "../grpc/index.ts";
import {
  HealthCheckRequest,
  HealthCheckResponse,
  HealthCheckResponseServingStatus as ServingStatus,
} from "../wire/index.ts";
import type { ApiContext } from "./context.ts";
import { toRpcError } from "./errors.ts";

export class HealthService implements Service {
  readonly name = "grpc.health.v1.Health";
  readonly methods: Service["methods"];
  readonly #watchers = new Set<StreamCall>();
  #serving = true;

  constructor(api: ApiContext) {
    this.methods = {
      Check: { kind: "unary", handle: (bytes) => this.#check(bytes) },
      Watch: {
        kind: "stream",
        handle: (call) => {
          call.onMessage((bytes) => {
            try {
              this.#watch(call, HealthCheckRequest.decode(bytes).service);
            } catch (error) {
              call.end(toRpcError(error, api.logger));
            }
          });
          call.onCancel(() => this.#watchers.delete(call));
        },
      },
    };
  }

  /** Tells those who check and those who watch that this server is going away. */
  shutdown(): void {
    if (this.#serving) {
      this.#serving = false;
      for (const call of this.#watchers) {
        call.write(this.#status());
      }
    }
  }

  #check(bytes: Uint8Array): Uint8Array {
    if (HealthCheckRequest.decode(bytes).service !== "") {
      throw new RpcError(grpcStatus.notFound, "unknown service");
    }
    return this.#status();
  }

  /** An unknown service may come one day, by the protocol: its watcher stays. */
  #watch(call: StreamCall, service: string): void {
    if (service !== "") {
      call.write(HealthCheckResponse.encode({ status: ServingStatus.SERVICE_UNKNOWN }));
      return;
    }
    this.#watchers.add(call);
    call.write(this.#status());
  }

  #status(): Uint8Array {
    const status = this.#serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
    return HealthCheckResponse.encode({ status });
  }
}
