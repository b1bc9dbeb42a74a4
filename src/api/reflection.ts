// gRPC server reflection: tells a client, such as grpcurl, which services there are and what their
// messages look like. The protocol is grpc's reflection.proto; v1alpha is v1 under an older name.
//
// Who asks learns what is public anyway, proto/, so that it is open to all, and served by learners.
// There are no extensions in proto3.

import { grpcStatus } from "../base/index.ts";
import type { Service, StreamCall } from "../grpc/index.ts";
import {
  fileDescriptors,
  ServerReflectionRequest,
  ServerReflectionResponse,
} from "../wire/index.ts";
import type { ApiContext } from "./context.ts";
import { toRpcError } from "./errors.ts";
import { rpcTable } from "./rpc-table.ts";

type Answer = NonNullable<ServerReflectionResponse["messageResponse"]>;

const names = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

export function reflectionServices(api: ApiContext): Service[] {
  return names.map((name) => ({
    name,
    methods: {
      ServerReflectionInfo: { kind: "stream", handle: (call: StreamCall) => serve(api, call) },
    },
  }));
}

/** One answer a question; a client that does not read its answers is asked to wait. */
function serve(api: ApiContext, call: StreamCall): void {
  call.onMessage((bytes) => {
    try {
      const originalRequest = ServerReflectionRequest.decode(bytes);
      const reply = ServerReflectionResponse.encode({
        validHost: originalRequest.host,
        originalRequest,
        messageResponse: answer(originalRequest),
      });
      if (!call.write(reply)) {
        call.pause();
      }
    } catch (error) {
      call.end(toRpcError(error, api.logger));
    }
  });
  call.onDrain(() => call.resume());
  call.onHalfClose(() => call.end());
}

function answer({ messageRequest: question }: ServerReflectionRequest): Answer {
  switch (question?.kind) {
    case "listServices":
      return { kind: "listServicesResponse", value: { service: serviceNames() } };
    case "fileByFilename":
      return files(
        Object.hasOwn(fileDescriptors, question.value) ? question.value : undefined,
        question.value,
      );
    case "fileContainingSymbol":
      return files(fileOfSymbol(question.value), question.value);
    case "fileContainingExtension":
      return failure(grpcStatus.notFound, "there are no extensions");
    case "allExtensionNumbersOfType":
      return fileOfSymbol(question.value) === undefined
        ? failure(grpcStatus.notFound, `not found: ${question.value}`)
        : {
            kind: "allExtensionNumbersResponse",
            value: { baseTypeName: question.value, extensionNumber: [] },
          };
    default:
      return failure(grpcStatus.invalidArgument, "a question of a kind that is not known");
  }
}

function serviceNames(): { readonly name: string }[] {
  return [...new Set(rpcTable.map(({ service }) => service))].sort().map((name) => ({ name }));
}

/**
 * The file that declares a message, an enum, a service, or what these have inside: a field, a
 * value, a method.
 */
function fileOfSymbol(symbol: string): string | undefined {
  const owner = symbol.slice(0, Math.max(symbol.lastIndexOf("."), 0));
  const has = (name: string): string | undefined =>
    Object.keys(fileDescriptors).find((file) => fileDescriptors[file]?.symbols.includes(name));
  return has(symbol) ?? has(owner);
}

/** The file and what it imports, imported ones last. */
function files(name: string | undefined, asked: string): Answer {
  if (name === undefined) {
    return failure(grpcStatus.notFound, `not found: ${asked}`);
  }
  const wanted = new Set([name]);
  for (const file of wanted) {
    for (const imported of fileDescriptors[file]?.imports ?? []) {
      wanted.add(imported);
    }
  }
  const fileDescriptorProto = [...wanted].map((file) =>
    Buffer.from(fileDescriptors[file]?.base64 ?? "", "base64"),
  );
  return { kind: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function failure(errorCode: number, errorMessage: string): Answer {
  return { kind: "errorResponse", value: { errorCode, errorMessage } };
}
