// Our contract against another's copy of etcd's: every message, field and method that the etcd3
// package knows is in proto/ under the same name, number and type.

import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import protobuf from "protobufjs";

import { declarations, fullName, services } from "../../scripts/generate-wire/names.ts";
import { reference } from "./messages.ts";

const folder = fileURLToPath(new URL("../../node_modules/etcd3/proto/", import.meta.url));

function theirs(): protobuf.Root {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => folder + (target.split("/").pop() ?? "");
  root.loadSync(["rpc.proto", "kv.proto", "auth.proto"], { keepCase: true });
  root.resolveAll();
  return root;
}

function fieldText(field: protobuf.Field): string {
  const type = field.resolvedType ? fullName(field.resolvedType) : field.type;
  const oneof = field.partOf ? ` in ${field.partOf.name}` : "";
  return `${field.repeated ? "repeated " : ""}${type} ${field.name} = ${field.id}${oneof}`;
}

/** Everything declared, one line a field, value or method. */
function lines(root: protobuf.Root): string[] {
  const found: string[] = [];
  for (const declared of declarations(root)) {
    const name = fullName(declared);
    if (declared instanceof protobuf.Type) {
      found.push(...declared.fieldsArray.map((field) => `${name}: ${fieldText(field)}`));
    } else {
      // That package writes the names of enum values its own way.
      const values = Object.entries(declared.values);
      found.push(
        ...values.map(([key, id]) => `${name}: ${key.replace("_", "").toUpperCase()} = ${id}`),
      );
    }
  }
  for (const service of services(root)) {
    for (const method of service.methodsArray) {
      const streams = `${method.requestStream === true}/${method.responseStream === true}`;
      const types = [method.resolvedRequestType, method.resolvedResponseType];
      const names = types.map((type) => (type ? fullName(type) : "?"));
      found.push(`${fullName(service)}.${method.name}: ${names.join(" -> ")} ${streams}`);
    }
  }
  return found;
}

test("etcd's messages and methods are all there, unchanged", () => {
  const wanted = lines(theirs());
  expect(wanted.length).toBeGreaterThan(250);
  const ours = new Set(lines(reference));
  expect(wanted.filter((line) => !ours.has(line))).toEqual([]);
});
