// grpc: gRPC over HTTP/2 for services that take and give raw bytes. Transport only.
//
// contract.ts is what services are written against. Two implementations serve it and one
// conformance suite (test/grpc/conformance.test.ts) runs on both. port.ts is the client port in
// front of them, shared with HTTP/1.1 and TLS.

import type { GrpcServer, GrpcServerOptions } from "./contract.ts";
import { GrpcJsServer } from "./grpc-js-server.ts";
import { DirectServer } from "./server.ts";

export * from "./contract.ts";
export { type ConnectionLimits, connectionLimits } from "./limits.ts";
export * from "./port.ts";

export type GrpcServerKind = "direct" | "grpc-js";

export function createGrpcServer(kind: GrpcServerKind, options: GrpcServerOptions): GrpcServer {
  return kind === "direct" ? new DirectServer(options) : new GrpcJsServer(options);
}
