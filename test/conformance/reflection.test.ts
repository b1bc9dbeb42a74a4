// Server reflection, asked by grpc-js with messages of @grpc/proto-loader; what comes back is read
// by protobufjs's own reader of descriptors and must be what proto/ declares.

import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import protobuf from "protobufjs";
import descriptor from "protobufjs/ext/descriptor/index.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ClusterProcesses } from "../support/processes.ts";

const directory = fileURLToPath(new URL("../../proto/", import.meta.url));
const definition = loadSync("reflection_v1alpha.proto", {
  includeDirs: [directory],
  keepCase: true,
  oneofs: true,
});

interface Reply {
  readonly message_response: string;
  readonly original_request: { readonly message_request: string };
  readonly list_services_response?: { readonly service: readonly { readonly name: string }[] };
  readonly file_descriptor_response?: { readonly file_descriptor_proto: readonly Buffer[] };
  readonly all_extension_numbers_response?: { readonly base_type_name: string };
  readonly error_response?: { readonly error_code: number; readonly error_message: string };
}

let cluster: ClusterProcesses;
beforeAll(async () => {
  cluster = await ClusterProcesses.start(1);
});
afterAll(() => cluster[Symbol.asyncDispose]());

/** Asks all questions on one stream and waits for it to end. */
async function ask(service: string, ...questions: readonly object[]): Promise<Reply[]> {
  const methods = definition[service] as grpc.ServiceDefinition;
  const method = methods["ServerReflectionInfo"] as grpc.MethodDefinition<object, Reply>;
  const client = new grpc.Client(cluster.endpoints[0] ?? "", grpc.credentials.createInsecure());
  const stream = client.makeBidiStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    { deadline: Date.now() + 10_000 },
  );
  for (const question of questions) {
    stream.write(question);
  }
  stream.end();
  const replies: Reply[] = [];
  try {
    for await (const reply of stream) {
      replies.push(reply as Reply);
    }
  } finally {
    client.close();
  }
  return replies;
}

const v1 = "grpc.reflection.v1.ServerReflection";
const services = ["grpc.reflection.v1alpha.ServerReflection", v1];

/** Types and methods below a namespace, as JSON without what descriptors do not carry. */
function shapes(namespace: protobuf.NamespaceBase): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const nested of namespace.nestedArray) {
    if (nested instanceof protobuf.Type) {
      found[nested.fullName] = nested.fieldsArray.map((field) => {
        field.resolve();
        const type = field.resolvedType?.fullName ?? field.type;
        return [field.name, field.id, type, field.repeated, field.partOf?.name ?? null].join(" ");
      });
    } else if (nested instanceof protobuf.Enum) {
      found[nested.fullName] = nested.values;
    } else if (nested instanceof protobuf.Service) {
      for (const method of nested.methodsArray) {
        method.resolve();
        const types = [method.resolvedRequestType, method.resolvedResponseType];
        const streams = [method.requestStream ?? false, method.responseStream ?? false];
        found[method.fullName] = [...types.map((type) => type?.fullName), ...streams];
      }
    }
    if (nested instanceof protobuf.Namespace) {
      Object.assign(found, shapes(nested));
    }
  }
  return found;
}

/** What the extension adds to Root, which its types leave out. */
function rootOf(file: readonly object[]): protobuf.Root {
  const constructor = protobuf.Root as unknown as {
    fromDescriptor(set: { readonly file: readonly object[] }): protobuf.Root;
  };
  return constructor.fromDescriptor({ file });
}

describe.each(services)("%s", (service) => {
  test("lists the services, and their files say what proto/ says", async () => {
    const [list] = await ask(service, { list_services: "*" });
    const names = (list?.list_services_response?.service ?? []).map(({ name }) => name);
    expect(names).toEqual([
      "etcdserverpb.Auth",
      "etcdserverpb.Cluster",
      "etcdserverpb.KV",
      "etcdserverpb.Lease",
      "etcdserverpb.Maintenance",
      "etcdserverpb.Watch",
      "grpc.health.v1.Health",
      v1,
      "grpc.reflection.v1alpha.ServerReflection",
      "v3electionpb.Election",
      "v3lockpb.Lock",
    ]);
    const replies = await ask(service, ...names.map((name) => ({ file_containing_symbol: name })));
    const files = new Map<string, protobuf.Message<descriptor.IFileDescriptorProto>>();
    for (const { file_descriptor_response: found } of replies) {
      for (const bytes of found?.file_descriptor_proto ?? []) {
        const file = descriptor.FileDescriptorProto.decode(bytes);
        const { name = "", dependency = [] } = file as descriptor.IFileDescriptorProto;
        files.set(name, file);
        expect(dependency).not.toContain(name);
      }
    }
    const told = rootOf([...files.values()]);
    told.resolveAll();
    const declared = new protobuf.Root();
    declared.resolvePath = (_origin, path) => `${directory}${path}`;
    declared.loadSync([...files.keys()], { keepCase: true });
    declared.resolveAll();
    const expected = shapes(declared);
    expect(Object.keys(expected).length).toBeGreaterThan(150);
    expect(shapes(told)).toEqual(expected);
  });

  test("finds files by name and by what is in them", async () => {
    const [byName, method, field, nested] = await ask(
      service,
      { file_by_filename: "kv.proto" },
      { file_containing_symbol: "etcdserverpb.KV.Range" },
      { file_containing_symbol: "mvccpb.KeyValue.lease" },
      { file_containing_symbol: "mvccpb.Event.EventType" },
    );
    const name = (reply: Reply | undefined): unknown => {
      const [first] = reply?.file_descriptor_response?.file_descriptor_proto ?? [];
      return first && descriptor.FileDescriptorProto.decode(first).toJSON()["name"];
    };
    expect([byName, method, field, nested].map(name)).toEqual([
      "kv.proto",
      "rpc.proto",
      "kv.proto",
      "kv.proto",
    ]);
    const imported = method?.file_descriptor_response?.file_descriptor_proto ?? [];
    expect(imported.length).toBe(3);
    expect(byName?.original_request.message_request).toBe("file_by_filename");
  });

  test("answers what it does not know and goes on", async () => {
    const replies = await ask(
      service,
      { file_by_filename: "storage.proto" },
      { file_by_filename: "constructor" },
      { file_containing_symbol: "kv.proto" },
      { file_containing_symbol: "" },
      { file_containing_extension: { containing_type: "mvccpb.KeyValue", extension_number: 1 } },
      { all_extension_numbers_of_type: "nothing" },
      {},
      { all_extension_numbers_of_type: "mvccpb.KeyValue" },
    );
    expect(replies.map((reply) => reply.error_response?.error_code)).toEqual([
      ...Array.from({ length: 6 }, () => grpc.status.NOT_FOUND),
      grpc.status.INVALID_ARGUMENT,
      undefined,
    ]);
    expect(replies.at(-1)?.all_extension_numbers_response?.base_type_name).toBe("mvccpb.KeyValue");
  });
});
