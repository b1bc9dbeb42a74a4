// A Connection without sockets or timers: bytes in, frames out, all at once and repeatable.

import type { GrpcStatus } from "../../src/base/index.ts";
import { Connection, type ConnectionHost } from "../../src/grpc/connection.ts";
import type { GrpcServerOptions } from "../../src/grpc/contract.ts";
import { FrameHandler } from "../../src/grpc/frame-handler.ts";
import { type ConnectionLimits, connectionLimits } from "../../src/grpc/limits.ts";
import { Router } from "../../src/grpc/request-head.ts";
import { type Seen, testService } from "./harness.ts";
import { FrameParser, prefaceBytes, settings, settingsAck } from "./raw-h2.ts";

export class VirtualServer {
  readonly seen: Seen = { cancelled: [], ended: [], streams: [], calls: [] };
  readonly connection: Connection;
  readonly frames: FrameHandler;
  readonly parser = new FrameParser();
  /** The server wants the connection closed. */
  closeWanted = false;
  /** Deadlines under watch. */
  deadlines = 0;
  nowMs = 0;

  constructor(options: Partial<GrpcServerOptions> = {}, limits: Partial<ConnectionLimits> = {}) {
    const router = new Router();
    router.register(testService(this.seen));
    const host: ConnectionHost = {
      peer: { address: "test:1", certificateCommonName: undefined },
      wantFlush: () => {},
      wantClose: () => {
        this.closeWanted = true;
      },
      watchDeadline: (call) => {
        call.deadlineSlot = 0;
        this.deadlines++;
      },
      forgetDeadline: (call) => {
        call.deadlineSlot = -1;
        this.deadlines--;
      },
    };
    const shared = {
      options: {
        receiveMessageBytesMax: 100_000,
        concurrentStreamsMax: 100,
        keepAliveMinTimeMs: 0,
        keepAliveIntervalMs: 7_200_000,
        keepAliveTimeoutMs: 20_000,
        onCallEnd: (path: string, status: GrpcStatus) => this.seen.ended.push({ path, status }),
        ...options,
      },
      limits: { ...connectionLimits, ...limits },
      router,
    };
    this.connection = new Connection(shared, host, 0);
    this.frames = new FrameHandler(this.connection);
  }

  /** Gives bytes to the server and takes the frames it answers with. */
  send(...parts: readonly Uint8Array[]): this {
    for (const part of parts) {
      this.frames.receive(part, this.nowMs);
      this.flush();
    }
    return this;
  }

  /** As a client that has exchanged SETTINGS. */
  greet(...values: readonly (readonly [number, number])[]): this {
    return this.send(prefaceBytes, settings(...values), settingsAck);
  }

  /** Takes what the server wants to write, as a socket that never is full. */
  flush(): void {
    const { writer } = this.connection.sender;
    do {
      for (const chunk of writer.take()) {
        this.parser.push(chunk);
      }
      this.connection.flushed(true);
    } while (writer.length > 0);
  }
}
