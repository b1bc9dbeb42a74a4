// One TypeScript module for one .proto file.

import protobuf from "protobufjs";

import { declarations, fileOf, fullName, moduleOf, propertyName, typeName } from "./names.ts";

interface Scalar {
  readonly type: string;
  readonly zero: string;
  readonly wireType: 0 | 1 | 2;
  /** Method of Reader. */
  readonly read: string;
  /** Method of Writer. */
  readonly write: string;
  /** Condition under which `value` is not the default. */
  readonly present: (value: string) => string;
}

const nonZero = (value: string): string => `${value} !== 0`;
const nonZeroBig = (value: string): string => `${value} !== 0n`;
const nonEmpty = (value: string): string => `${value}.length > 0`;

const scalars: Readonly<Record<string, Scalar>> = {
  bool: scalar("boolean", "false", 0, "bool", "bool", (value) => value),
  uint32: scalar("number", "0", 0, "uint32", "uint64", nonZero),
  int32: scalar("number", "0", 0, "int32", "int64", nonZero),
  int64: scalar("bigint", "0n", 0, "int64Big", "big64", nonZeroBig),
  uint64: scalar("bigint", "0n", 0, "uint64Big", "big64", nonZeroBig),
  fixed64: scalar("bigint", "0n", 1, "fixed64Big", "fixed64", nonZeroBig),
  string: scalar("string", '""', 2, "string", "string", nonEmpty),
  bytes: scalar("Uint8Array", "emptyBytes", 2, "bytes", "bytes", nonEmpty),
  "int64 number": scalar("number", "0", 0, "int64", "int64", nonZero),
  "uint64 number": scalar("number", "0", 0, "uint64", "uint64", nonZero),
};

function scalar(
  type: string,
  zero: string,
  wireType: 0 | 1 | 2,
  read: string,
  write: string,
  present: (value: string) => string,
): Scalar {
  return { type, zero, wireType, read, write, present };
}

function scalarOf(field: protobuf.Field): Scalar | undefined {
  if (field.resolvedType instanceof protobuf.Type) {
    return undefined;
  }
  if (field.resolvedType instanceof protobuf.Enum) {
    return scalar(typeName(field.resolvedType), "0", 0, "int32", "int64", nonZero);
  }
  const number = field.options?.["jstype"] === "JS_NUMBER" ? " number" : "";
  const found = scalars[field.type + number];
  if (found === undefined) {
    throw new Error(`${field.fullName}: unsupported type ${field.type}${number}`);
  }
  return found;
}

function elementType(field: protobuf.Field): string {
  return scalarOf(field)?.type ?? typeName(field.resolvedType as protobuf.Type);
}

/** A field that stands for itself, or a oneof that stands for its members. */
type Slot =
  | { readonly kind: "field"; readonly name: string; readonly field: protobuf.Field }
  | {
      readonly kind: "oneof";
      readonly name: string;
      readonly fields: readonly protobuf.Field[];
      readonly first: number;
    };

function slotsOf(type: protobuf.Type): Slot[] {
  const slots: Slot[] = [];
  for (const field of type.fieldsArray) {
    if (field.map) {
      throw new Error(`${field.fullName}: maps are not supported`);
    }
    if (!field.partOf) {
      slots.push({ kind: "field", name: propertyName(field.name), field });
    }
  }
  for (const oneof of type.oneofsArray) {
    const fields = [...oneof.fieldsArray].sort((a, b) => a.id - b.id);
    const first = fields[0]?.id ?? 0;
    slots.push({ kind: "oneof", name: propertyName(oneof.name), fields, first });
  }
  const order = (slot: Slot): number => (slot.kind === "field" ? slot.field.id : slot.first);
  return slots.sort((a, b) => order(a) - order(b));
}

function slotType(slot: Slot): string {
  if (slot.kind === "oneof") {
    const variants = slot.fields.map(
      (field) =>
        `\n    | { readonly kind: "${propertyName(field.name)}"; ` +
        `readonly value: ${elementType(field)} }`,
    );
    return `${variants.join("")}\n    | undefined`;
  }
  const element = elementType(slot.field);
  if (slot.field.repeated) {
    return `readonly ${element}[]`;
  }
  return scalarOf(slot.field) === undefined ? `${element} | undefined` : element;
}

function slotZero(slot: Slot): string {
  if (slot.kind === "oneof") {
    return "undefined";
  }
  return slot.field.repeated ? "[]" : (scalarOf(slot.field)?.zero ?? "undefined");
}

function wireTag(field: protobuf.Field): number {
  return field.id * 8 + (scalarOf(field)?.wireType ?? 2);
}

function writeElement(field: protobuf.Field, value: string, indent: string): string[] {
  const found = scalarOf(field);
  const lines =
    found === undefined
      ? [
          "const mark = writer.mark();",
          `${elementType(field)}.encodeTo(${value}, writer);`,
          "writer.lengthSince(mark);",
        ]
      : [`writer.${found.write}(${value});`];
  lines.push(`writer.tag(${wireTag(field)});`);
  return lines.map((line) => indent + line);
}

function isPackable(field: protobuf.Field): boolean {
  return field.repeated && (scalarOf(field)?.wireType ?? 2) !== 2;
}

function encodeField(field: protobuf.Field): string[] {
  const value = `message.${propertyName(field.name)}`;
  const found = scalarOf(field);
  if (isPackable(field) && found !== undefined) {
    return [
      `    if (${value}.length > 0) {`,
      "      const mark = writer.mark();",
      `      for (let i = ${value}.length - 1; i >= 0; i--) {`,
      `        writer.${found.write}(${value}[i] as ${found.type});`,
      "      }",
      "      writer.lengthSince(mark);",
      `      writer.tag(${field.id * 8 + 2});`,
      "    }",
    ];
  }
  if (field.repeated) {
    return [
      `    for (let i = ${value}.length - 1; i >= 0; i--) {`,
      ...writeElement(field, `${value}[i] as ${elementType(field)}`, "      "),
      "    }",
    ];
  }
  const condition = found === undefined ? `${value} !== undefined` : found.present(value);
  return [`    if (${condition}) {`, ...writeElement(field, value, "      "), "    }"];
}

/**
 * Fields of a oneof may stand apart in number order; each is written at its own place, so that
 * output is in field order as other implementations write it.
 */
function encodeOneofField(slot: Slot & { kind: "oneof" }, field: protobuf.Field): string[] {
  const kind = propertyName(field.name);
  return [
    `    if (message.${slot.name}?.kind === "${kind}") {`,
    ...writeElement(field, `message.${slot.name}.value`, "      "),
    "    }",
  ];
}

function encodeBody(slots: readonly Slot[]): string[] {
  const parts: { readonly id: number; readonly lines: string[] }[] = [];
  for (const slot of slots) {
    if (slot.kind === "field") {
      parts.push({ id: slot.field.id, lines: encodeField(slot.field) });
      continue;
    }
    for (const field of slot.fields) {
      parts.push({ id: field.id, lines: encodeOneofField(slot, field) });
    }
  }
  return parts.sort((a, b) => b.id - a.id).flatMap((part) => part.lines);
}

function readElement(field: protobuf.Field, assign: (value: string) => string): string[] {
  const found = scalarOf(field);
  if (found !== undefined) {
    return [`          ${assign(`reader.${found.read}()`)}`];
  }
  return [
    "          const outer = reader.enter();",
    `          ${assign(`${elementType(field)}.decodeFrom(reader)`)}`,
    "          reader.leave(outer);",
  ];
}

function decodeCase(slot: Slot, field: protobuf.Field): string[] {
  const found = scalarOf(field);
  const assign = (value: string): string => {
    if (slot.kind === "oneof") {
      return `${slot.name} = { kind: "${propertyName(field.name)}", value: ${value} };`;
    }
    return field.repeated ? `${slot.name}.push(${value});` : `${slot.name} = ${value};`;
  };
  const open = found === undefined ? " {" : "";
  const close = found === undefined ? ["        }"] : [];
  const lines = [
    `        case ${wireTag(field)}:${open}`,
    ...readElement(field, assign),
    "          break;",
    ...close,
  ];
  if (isPackable(field) && found !== undefined) {
    lines.push(
      `        case ${field.id * 8 + 2}: {`,
      "          const outer = reader.enter();",
      "          while (reader.offset < reader.limit) {",
      `            ${slot.name}.push(reader.${found.read}());`,
      "          }",
      "          reader.leave(outer);",
      "          break;",
      "        }",
    );
  }
  return lines;
}

function decodeBody(type: string, slots: readonly Slot[]): string[] {
  if (slots.length === 0) {
    return [
      "    while (reader.offset < reader.limit) {",
      "      reader.skip(reader.tag());",
      "    }",
      "    return {};",
    ];
  }
  const lines: string[] = [];
  for (const slot of slots) {
    if (slot.kind === "field" && slot.field.repeated) {
      lines.push(`    const ${slot.name}: ${elementType(slot.field)}[] = [];`);
    } else {
      lines.push(`    let ${slot.name}: ${type}["${slot.name}"] = ${slotZero(slot)};`);
    }
  }
  lines.push(
    "    while (reader.offset < reader.limit) {",
    "      const tag = reader.tag();",
    "      switch (tag) {",
  );
  for (const slot of slots) {
    for (const field of slot.kind === "field" ? [slot.field] : slot.fields) {
      lines.push(...decodeCase(slot, field));
    }
  }
  lines.push(
    "        default:",
    "          reader.skip(tag);",
    "      }",
    "    }",
    `    return { ${slots.map((slot) => slot.name).join(", ")} };`,
  );
  return lines;
}

function messageText(type: protobuf.Type): string {
  const name = typeName(type);
  const slots = slotsOf(type);
  const fields = slots.map((slot) => `  readonly ${slot.name}: ${slotType(slot)};`);
  const creates = slots.map((slot) => {
    return `      ${slot.name}: partial.${slot.name} ?? ${slotZero(slot)},`;
  });
  const some = slots.length > 0;
  return [
    `/** ${fullName(type)} */`,
    some ? `export interface ${name} {` : `export type ${name} = Readonly<Record<string, never>>;`,
    ...(some ? [...fields, "}"] : []),
    "",
    `export const ${name} = {`,
    `  create(${some ? "" : "_"}partial: Partial<${name}> = {}): ${name} {`,
    ...(some ? ["    return {", ...creates, "    };"] : ["    return {};"]),
    "  },",
    `  encode(message: ${name}): Uint8Array {`,
    "    sharedWriter.begin();",
    `    ${name}.encodeTo(message, sharedWriter);`,
    "    return sharedWriter.finish();",
    "  },",
    `  encodeTo(${some ? "message" : "_message"}: ${name}, ${some ? "writer" : "_writer"}: Writer): void {`,
    ...encodeBody(slots),
    "  },",
    "  /** Throws DecodeError. Bytes in the result are views into `bytes`. */",
    `  decode(bytes: Uint8Array): ${name} {`,
    `    return ${name}.decodeFrom(new Reader(bytes));`,
    "  },",
    `  decodeFrom(reader: Reader): ${name} {`,
    ...decodeBody(name, slots),
    "  },",
    "};",
    "",
  ].join("\n");
}

function enumText(declared: protobuf.Enum): string {
  const name = typeName(declared);
  const values = Object.entries(declared.values).map(([key, value]) => `  ${key}: ${value},`);
  return [
    `/** ${fullName(declared)}. Open: a peer may send numbers that are not listed. */`,
    `export type ${name} = number;`,
    "",
    `export const ${name} = {`,
    ...values,
    "} as const;",
    "",
  ].join("\n");
}

function importLines(all: protobuf.Root, file: string): string[] {
  const wanted = new Map<string, Set<string>>();
  for (const declared of declarations(all)) {
    if (fileOf(declared) !== file || !(declared instanceof protobuf.Type)) {
      continue;
    }
    for (const field of declared.fieldsArray) {
      const target = field.resolvedType;
      if (target && fileOf(target) !== file) {
        const names = wanted.get(fileOf(target)) ?? new Set();
        names.add(typeName(target));
        wanted.set(fileOf(target), names);
      }
    }
  }
  return [...wanted.keys()].sort().map((from) => {
    const names = [...(wanted.get(from) ?? [])].sort();
    const enums = new Set(
      declarations(all)
        .filter((d) => d instanceof protobuf.Enum)
        .map((d) => typeName(d)),
    );
    const marked = names.map((name) => (enums.has(name) ? `type ${name}` : name));
    return `import { ${marked.join(", ")} } from "./${moduleOf(from)}.ts";`;
  });
}

/** The module for one .proto file. */
export function messageModule(all: protobuf.Root, file: string): string {
  const parts = declarations(all)
    .filter((declared) => fileOf(declared) === file)
    .map((declared) =>
      declared instanceof protobuf.Enum ? enumText(declared) : messageText(declared),
    );
  const body = parts.join("\n");
  const head = [
    `// Generated by scripts/generate-wire.ts from proto/${file}; do not edit.`,
    "",
    ...(body.includes("emptyBytes") ? ['import { emptyBytes } from "../../base/index.ts";'] : []),
    'import { Reader } from "../reader.ts";',
    'import { sharedWriter, type Writer } from "../writer.ts";',
    ...importLines(all, file),
  ];
  return `${head.join("\n")}\n\n${body}`;
}
