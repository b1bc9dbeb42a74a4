// grpc: gRPC over HTTP/2 for services that take and give raw bytes.
//
// Transport only: nothing here knows of the store. contract.ts is what services are written
// against: a handler gets a request and a context, and answers at once, later, or as a stream. Two
// implementations serve it, and one suite (test/grpc/conformance.test.ts) runs on both:
//
//   direct    server.ts          sockets and clocks over the files below; the default
//   grpc-js   grpc-js-server.ts  on @grpc/grpc-js, to check the direct one against
//
// port.ts is the client port in front of either: gRPC, plain HTTP/2, HTTP/1.1 and TLS on one
// address, told apart by their first bytes.
//
// The direct implementation, in the order in which bytes pass through it:
//
//   frame-reader.ts    bytes -> frames, in place, DATA in the pieces that arrive
//   frame-handler.ts   what each frame does (RFC 9113), with head-reader.ts for header blocks
//   hpack-*.ts         RFC 7541: a decoder with bounds, an encoder for the few answers there are
//   request-head.ts    header fields -> a method and its handler, or a refusal in grpc-go's words
//   connection.ts      the streams of one connection and their calls
//   call.ts            one request and its end; grpc-call.ts and http-exchange.ts are its kinds
//   sender.ts          answers -> frames, within the client's windows
//   frame-writer.ts    frames -> bytes for one write, in the slabs of slab-pool.ts
//
// Rules:
// - No input or output below server.ts: a Connection is bytes in, frames out, time as an argument,
//   so that tests run whole conversations without a socket (test/grpc/virtual-server.ts).
// - Answers made in one turn of the event loop leave in one write. A handler that answers at once
//   is answered within the chunk its request came in, without a promise.
// - What an attacker could make grow has a bound with a name in limits.ts, and a test that attacks
//   it (test/grpc/attacks.test.ts). A client that breaks one gets GOAWAY with the reason as text.
// - A call counts as running until its handler is done, whatever the client did to its stream.
// - Header blocks are encoded when they are written and decoded when they are read, in order: the
//   HPACK tables allow nothing else.
//
// Limits: no compression (identity only), no response metadata beyond the status, no server push,
// priorities ignored, no HTTP/2 upgrade from HTTP/1.1. PRIORITY frames are counted per connection,
// not per stream, because a stream that never was opened has no place to count on.

import type { GrpcServer, GrpcServerOptions } from "./contract.ts";
import { GrpcJsServer } from "./grpc-js-server.ts";
import { DirectServer } from "./server.ts";

export * from "./contract.ts";
export { type ConnectionLimits, connectionLimits } from "./limits.ts";
export * from "./port.ts";
export { clearStaleSocket } from "./stale-socket.ts";

export type GrpcServerKind = "direct" | "grpc-js";

/** A server without services or connections: register, then let a ClientPort accept for it. */
export function createGrpcServer(kind: GrpcServerKind, options: GrpcServerOptions): GrpcServer {
  return kind === "direct" ? new DirectServer(options) : new GrpcJsServer(options);
}
