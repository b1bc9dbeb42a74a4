// grpc: gRPC over HTTP/2 for services that take and give raw bytes. Transport only.
//
// contract.ts is what services are written against. Two implementations serve it and one
// conformance suite (test/grpc/conformance.test.ts) runs on both. port.ts is the client port in
// front of them, shared with HTTP/1.1 and TLS.

import type { GrpcServer, GrpcServerOptions } from "./contract.ts";
import { GrpcJsServer } from "./grpc-js-server.ts";

export * from "./contract.ts";
export * from "./port.ts";

export type GrpcServerKind = "grpc-js";

export function createGrpcServer(_kind: GrpcServerKind, options: GrpcServerOptions): GrpcServer {
  return new GrpcJsServer(options);
}
