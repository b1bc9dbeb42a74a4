// What is asked of every call before its service sees it, in etcd's order: a learner serves little
// (table), the client's API version must be text, and a client that requires a leader is refused
// while none is known.

import { noMember, QuorateError } from "../base/index.ts";
import type { CallContext, MethodHandler, StreamHandler, UnaryHandler } from "../grpc/index.ts";
import { RpcError } from "../grpc/index.ts";
import { RangeRequest } from "../wire/index.ts";
import type { ApiContext } from "./context.ts";
import type { LeaderMonitor } from "./leader-monitor.ts";
import type { RpcMetrics } from "./rpc-metrics.ts";
import type { Rpc } from "./rpc-table.ts";

const replacementCharacter = "\ufffd";

export class Gate {
  readonly #api: ApiContext;
  readonly #metrics: RpcMetrics;
  readonly #leader: LeaderMonitor;

  constructor(api: ApiContext, metrics: RpcMetrics, leader: LeaderMonitor) {
    this.#api = api;
    this.#metrics = metrics;
    this.#leader = leader;
  }

  guard(rpc: Rpc, handler: MethodHandler): MethodHandler {
    return handler.kind === "unary"
      ? { kind: "unary", handle: this.#guardUnary(rpc, handler.handle) }
      : { kind: "stream", handle: this.#guardStream(rpc, handler.handle) };
  }

  #guardUnary(rpc: Rpc, handle: UnaryHandler): UnaryHandler {
    const started = this.#metrics.started(rpc);
    return (request, call) => {
      started.inc();
      this.#check(rpc, call, "unary", request);
      return handle(request, call);
    };
  }

  #guardStream(rpc: Rpc, handle: StreamHandler): StreamHandler {
    const started = this.#metrics.started(rpc);
    return (call) => {
      started.inc();
      try {
        this.#check(rpc, call, "stream", undefined);
      } catch (error) {
        if (error instanceof QuorateError) {
          call.end(new RpcError(error.status, error.message));
          return;
        }
        throw error;
      }
      handle(requiresLeader(call) ? this.#leader.watch(call) : call);
    };
  }

  #check(
    rpc: Rpc,
    call: CallContext,
    type: "unary" | "stream",
    request: Uint8Array | undefined,
  ): void {
    const status = this.#api.handle.status();
    if (status.isLearner && !servedByLearner(rpc, request)) {
      throw new QuorateError("learnerRpcNotSupported");
    }
    const version = call.metadata("client-api-version");
    if (version !== undefined && !isText(version)) {
      throw new QuorateError("invalidClientApiVersion");
    }
    this.#metrics.clientRequest(type, version ?? "unknown");
    if (status.leader === noMember && requiresLeader(call)) {
      throw new QuorateError("noLeader");
    }
  }
}

function servedByLearner(rpc: Rpc, request: Uint8Array | undefined): boolean {
  if (rpc.learner !== "serializable") {
    return rpc.learner === "yes";
  }
  return request !== undefined && RangeRequest.decode(request).serializable;
}

function requiresLeader(call: CallContext): boolean {
  return call.metadata("hasleader") === "true";
}

/**
 * Whether a header's value was UTF-8. Transports give one character a byte, which must be
 * decodable; what holds more than bytes was decoded already.
 */
function isText(value: string): boolean {
  let ascii = true;
  for (let i = 0; i < value.length; i++) {
    ascii &&= value.charCodeAt(i) < 0x80;
  }
  if (ascii) {
    return true;
  }
  const decoded = isBytes(value) ? Buffer.from(value, "latin1").toString("utf8") : value;
  return !decoded.includes(replacementCharacter);
}

function isBytes(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    if (value.charCodeAt(i) > 0xff) {
      return false;
    }
  }
  return true;
}
