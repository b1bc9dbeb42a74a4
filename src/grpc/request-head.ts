// A request's header fields -> what to do with it. The result is immutable, so that requests with
// the same header block share it.

import { type GrpcStatus, grpcStatus } from "../base/index.ts";
import type { Service, StreamHandler, UnaryHandler } from "./contract.ts";
import { decodeBinaryValue, isGrpcContentType, parseTimeout } from "./grpc-text.ts";
import { fieldKind, type HeaderField } from "./hpack-tables.ts";

/** Where a request goes. */
export type Target =
  | { readonly kind: "unary"; readonly handle: UnaryHandler }
  | { readonly kind: "stream"; readonly handle: StreamHandler }
  | { readonly kind: "http" }
  | {
      readonly kind: "refused";
      readonly httpStatus: number;
      readonly status: GrpcStatus;
      readonly message: string;
    };

/** The registered methods by path. */
export class Router {
  readonly #targets = new Map<string, Target>();
  readonly #services = new Set<string>();

  register(service: Service): void {
    this.#services.add(service.name);
    for (const [name, method] of Object.entries(service.methods)) {
      this.#targets.set(`/${service.name}/${name}`, method);
    }
  }

  /** The method, or the refusal in grpc-go's words. */
  resolve(path: string): Target {
    return this.#targets.get(path) ?? this.#unknown(path);
  }

  #unknown(path: string): Target {
    const slash = path.lastIndexOf("/");
    if (!path.startsWith("/") || slash <= 0) {
      return unimplemented(`malformed method name: ${JSON.stringify(path)}`);
    }
    const service = path.slice(1, slash);
    return unimplemented(
      this.#services.has(service)
        ? `unknown method ${path.slice(slash + 1)} for service ${service}`
        : `unknown service ${service}`,
    );
  }
}

function unimplemented(message: string): Target {
  return { kind: "refused", httpStatus: 200, status: grpcStatus.unimplemented, message };
}

function refused(httpStatus: number, message: string): Target {
  return { kind: "refused", httpStatus, status: grpcStatus.internal, message };
}

export interface RequestHead {
  readonly fields: readonly HeaderField[];
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  /** Time the client gives, milliseconds; -1 for none. */
  readonly timeoutMs: number;
  /** grpc-encoding; "identity" when absent. */
  readonly encoding: string;
  /** -1 for none. */
  readonly contentLength: number;
  readonly target: Target;
}

/** The first value of a header; "-bin" values decoded. */
export function headerValue(head: RequestHead, name: string): string | undefined {
  for (const field of head.fields) {
    if (field.name === name) {
      return name.endsWith("-bin") ? decodeBinaryValue(field.value) : field.value;
    }
  }
  return undefined;
}

interface Draft {
  method: string | undefined;
  scheme: string | undefined;
  path: string | undefined;
  authority: string | undefined;
  contentType: string | undefined;
  timeout: string | undefined;
  encoding: string | undefined;
  contentLength: string | undefined;
}

/**
 * Reads a request's fields; undefined when they are malformed (RFC 9113 section 8.1.1: a stream
 * error). `servesHttp` tells whether requests that are not gRPC have someone to go to.
 */
export function readHead(
  fields: readonly HeaderField[],
  router: Router,
  servesHttp: boolean,
): RequestHead | undefined {
  const draft = readDraft(fields);
  if (draft === undefined) {
    return undefined;
  }
  const { method, path, scheme, contentLength } = draft;
  if (method === undefined || scheme === undefined || path === undefined || path === "") {
    return undefined;
  }
  if (contentLength !== undefined && !/^\d{1,15}$/.test(contentLength)) {
    return undefined;
  }
  const timeoutMs = draft.timeout === undefined ? -1 : parseTimeout(draft.timeout);
  return {
    fields,
    method,
    path,
    authority: draft.authority ?? "",
    timeoutMs: timeoutMs ?? -1,
    encoding: draft.encoding ?? "identity",
    contentLength: contentLength === undefined ? -1 : Number(contentLength),
    target: targetOf(draft, path, timeoutMs, router, servesHttp),
  };
}

/** The order of these checks, and their words, are grpc-go's. */
function targetOf(
  draft: Draft,
  path: string,
  timeoutMs: number | undefined,
  router: Router,
  servesHttp: boolean,
): Target {
  const contentType = draft.contentType ?? "";
  if (!isGrpcContentType(contentType)) {
    return servesHttp
      ? { kind: "http" }
      : refused(415, `invalid gRPC request content-type ${JSON.stringify(contentType)}`);
  }
  if (draft.method !== "POST") {
    const method = JSON.stringify(draft.method);
    return refused(405, `Received a HEADERS frame with :method ${method} which should be POST`);
  }
  if (timeoutMs === undefined) {
    const timeout = JSON.stringify(draft.timeout);
    return refused(400, `malformed grpc-timeout: transport: malformed timeout: ${timeout}`);
  }
  return router.resolve(path);
}

/** Undefined when a field is malformed, doubled where it must not be, or out of order. */
function readDraft(fields: readonly HeaderField[]): Draft | undefined {
  const draft: Draft = {
    method: undefined,
    scheme: undefined,
    path: undefined,
    authority: undefined,
    contentType: undefined,
    timeout: undefined,
    encoding: undefined,
    contentLength: undefined,
  };
  let regular = false;
  for (const field of fields) {
    const slot = draftSlot[field.kind];
    if (slot === undefined) {
      if (field.kind === fieldKind.malformed) {
        return undefined;
      }
      regular = true;
      continue;
    }
    const pseudo = field.kind <= fieldKind.authority;
    if (draft[slot] !== undefined || (pseudo && regular)) {
      return undefined;
    }
    regular ||= !pseudo;
    draft[slot] = field.value;
  }
  return draft;
}

const draftSlot: readonly (keyof Draft | undefined)[] = [
  undefined,
  "method",
  "scheme",
  "path",
  "authority",
  "contentType",
  "timeout",
  "encoding",
  "contentLength",
  undefined,
];

/** Whether a block may be the trailers of a request: no pseudo-headers, nothing malformed. */
export function areTrailers(fields: readonly HeaderField[]): boolean {
  return fields.every(
    ({ kind }) =>
      kind === fieldKind.other || (kind > fieldKind.authority && kind !== fieldKind.malformed),
  );
}
