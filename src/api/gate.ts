// What is asked of every call before its service sees it, in etcd's order: a learner serves little
// (table), the client's API version must be text, a client that requires a leader is refused while
// none is known, and while authentication is on the caller must be somebody, or root (table). What
// a caller may do to keys is decided where they are read or written.

import { noMember, QuorateError } from "../base/index.ts";
import type {
  CallContext,
  MethodHandler,
  ReplyBytes,
  StreamCall,
  StreamHandler,
  UnaryHandler,
} from "../grpc/index.ts";
import { RangeRequest } from "../wire/index.ts";
import { permit } from "./callers.ts";
import type { ApiContext } from "./context.ts";
import { toRpcError } from "./errors.ts";
import { HeldStream } from "./held-stream.ts";
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
      return this.#api.handle.auth.enabled
        ? this.#authorizedUnary(rpc, handle, request, call)
        : handle(request, call);
    };
  }

  /** A token issued by a command that is not applied here yet is waited for. */
  #authorizedUnary(
    rpc: Rpc,
    handle: UnaryHandler,
    request: Uint8Array,
    call: CallContext,
  ): ReplyBytes | Promise<ReplyBytes> {
    const go = (): ReplyBytes | Promise<ReplyBytes> => {
      this.#authorize(rpc, call);
      return handle(request, call);
    };
    return this.#api.callers.isAhead(call) ? this.#caughtUp().then(go) : go();
  }

  async #caughtUp(): Promise<void> {
    await this.#api.handle.read(true, () => undefined);
  }

  #authorize({ access }: Rpc, call: CallContext): void {
    if (access === "open" || access === "watch") {
      return;
    }
    const caller = this.#api.callerOf(call);
    const { auth } = this.#api.handle;
    permit(access === "root" ? auth.checkRoot(caller) : auth.checkLogin(caller));
  }

  #guardStream(rpc: Rpc, handle: StreamHandler): StreamHandler {
    const started = this.#metrics.started(rpc);
    return (call) => {
      started.inc();
      const fail = (error: unknown): void => call.end(toRpcError(error, this.#api.logger));
      const go = (stream: StreamCall): void => {
        try {
          this.#authorize(rpc, call);
        } catch (error) {
          fail(error);
          return;
        }
        handle(requiresLeader(call) ? this.#leader.watch(stream) : stream);
      };
      try {
        this.#check(rpc, call, "stream", undefined);
      } catch (error) {
        fail(error);
        return;
      }
      if (this.#api.handle.auth.enabled && this.#api.callers.isAhead(call)) {
        const held = new HeldStream(call);
        this.#caughtUp().then(() => go(held), fail);
      } else {
        go(call);
      }
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
