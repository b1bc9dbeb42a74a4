// The files of proto/ that declare services, and those that they import, as the bytes of
// google.protobuf.FileDescriptorProto (descriptor.proto): what server reflection answers with.

import protobuf from "protobufjs";

import { declarations, fileOf, fullName, jsonName, services } from "./names.ts";

/** FieldDescriptorProto.Type. */
const scalarTypes: Readonly<Record<string, number>> = {
  int64: 3,
  uint64: 4,
  int32: 5,
  fixed64: 6,
  bool: 8,
  string: 9,
  bytes: 12,
  uint32: 13,
};
const messageType = 11;
const enumType = 14;

/** FieldDescriptorProto.Label. */
const optional = 1;
const repeated = 3;

function text(writer: protobuf.Writer, field: number, value: string): void {
  writer.uint32(field * 8 + 2).string(value);
}

function number(writer: protobuf.Writer, field: number, value: number): void {
  writer.uint32(field * 8).int32(value);
}

function flag(writer: protobuf.Writer, field: number, value: boolean): void {
  if (value) {
    number(writer, field, 1);
  }
}

function embed(
  writer: protobuf.Writer,
  field: number,
  write: (writer: protobuf.Writer) => void,
): void {
  writer.uint32(field * 8 + 2).fork();
  write(writer);
  writer.ldelim();
}

function typeNumber(field: protobuf.Field): number {
  if (field.resolvedType !== null) {
    return field.resolvedType instanceof protobuf.Enum ? enumType : messageType;
  }
  const found = scalarTypes[field.type];
  if (found === undefined) {
    throw new Error(`${field.fullName}: unsupported type ${field.type}`);
  }
  return found;
}

function writeField(writer: protobuf.Writer, field: protobuf.Field): void {
  text(writer, 1, field.name);
  number(writer, 3, field.id);
  number(writer, 4, field.repeated ? repeated : optional);
  number(writer, 5, typeNumber(field));
  if (field.resolvedType !== null) {
    text(writer, 6, field.resolvedType.fullName);
  }
  const { partOf } = field;
  if (partOf) {
    number(writer, 9, (field.parent as protobuf.Type).oneofsArray.indexOf(partOf));
  }
  text(writer, 10, jsonName(field.name));
}

function writeEnum(writer: protobuf.Writer, declared: protobuf.Enum): void {
  text(writer, 1, declared.name);
  for (const [name, value] of Object.entries(declared.values)) {
    embed(writer, 2, () => {
      text(writer, 1, name);
      number(writer, 2, value);
    });
  }
}

function writeMessage(writer: protobuf.Writer, type: protobuf.Type): void {
  text(writer, 1, type.name);
  for (const field of type.fieldsArray) {
    embed(writer, 2, () => writeField(writer, field.resolve()));
  }
  for (const nested of type.nestedArray) {
    if (nested instanceof protobuf.Type) {
      embed(writer, 3, () => writeMessage(writer, nested));
    }
  }
  for (const nested of type.nestedArray) {
    if (nested instanceof protobuf.Enum) {
      embed(writer, 4, () => writeEnum(writer, nested));
    }
  }
  for (const oneof of type.oneofsArray) {
    embed(writer, 8, () => text(writer, 1, oneof.name));
  }
}

function writeService(writer: protobuf.Writer, service: protobuf.Service): void {
  text(writer, 1, service.name);
  for (const method of service.methodsArray) {
    embed(writer, 2, () => {
      text(writer, 1, method.name);
      text(writer, 2, method.resolvedRequestType?.fullName ?? "");
      text(writer, 3, method.resolvedResponseType?.fullName ?? "");
      flag(writer, 5, method.requestStream === true);
      flag(writer, 6, method.responseStream === true);
    });
  }
}

interface Declared {
  readonly types: readonly (protobuf.Type | protobuf.Enum)[];
  readonly services: readonly protobuf.Service[];
  /** Files that these refer to, sorted. */
  readonly imports: readonly string[];
}

function declaredIn(all: protobuf.Root, file: string): Declared {
  const types = declarations(all).filter((declared) => fileOf(declared) === file);
  const own = services(all).filter((service) => fileOf(service) === file);
  const used = [
    ...types.flatMap((type) =>
      type instanceof protobuf.Type ? type.fieldsArray.map((field) => field.resolvedType) : [],
    ),
    ...own.flatMap((service) =>
      service.methodsArray.flatMap((method) => [
        method.resolvedRequestType,
        method.resolvedResponseType,
      ]),
    ),
  ];
  const imports = new Set(used.flatMap((type) => (type ? [fileOf(type)] : [])));
  imports.delete(file);
  return { types, services: own, imports: [...imports].sort() };
}

function fileText(file: string, { types, services: own, imports }: Declared): string[] {
  const top = types.filter((declared) => !(declared.parent instanceof protobuf.Type));
  const namespace = (own[0] ?? top[0])?.parent;
  if (!namespace) {
    throw new Error(`${file} declares nothing`);
  }
  const writer = protobuf.Writer.create();
  text(writer, 1, file);
  text(writer, 2, fullName(namespace));
  for (const name of imports) {
    text(writer, 3, name);
  }
  for (const declared of top) {
    if (declared instanceof protobuf.Type) {
      embed(writer, 4, () => writeMessage(writer, declared));
    }
  }
  for (const declared of top) {
    if (declared instanceof protobuf.Enum) {
      embed(writer, 5, () => writeEnum(writer, declared));
    }
  }
  for (const service of own) {
    embed(writer, 6, () => writeService(writer, service));
  }
  text(writer, 12, "proto3");
  const symbols = [...types, ...own].map(fullName);
  return [
    `  "${file}": {`,
    `    imports: ${JSON.stringify(imports)},`,
    "    symbols: [",
    ...symbols.map((symbol) => `      "${symbol}",`),
    "    ],",
    `    base64: "${Buffer.from(writer.finish()).toString("base64")}",`,
    "  },",
  ];
}

/** The module with the descriptors of files. */
export function filesModule(all: protobuf.Root, files: readonly string[]): string {
  const wanted = new Map<string, Declared>();
  const add = (file: string): void => {
    if (!wanted.has(file)) {
      const declared = declaredIn(all, file);
      wanted.set(file, declared);
      declared.imports.forEach(add);
    }
  };
  files.filter((file) => declaredIn(all, file).services.length > 0).forEach(add);
  return [
    "// Generated by scripts/generate-wire.ts from proto/; do not edit.",
    "",
    'import type { FileDescriptor } from "../descriptor.ts";',
    "",
    "/** Every file that declares a service, and those that they import, by name. */",
    "export const fileDescriptors: Readonly<Record<string, FileDescriptor>> = {",
    ...[...wanted].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap((entry) => fileText(...entry)),
    "};",
    "",
  ].join("\n");
}
