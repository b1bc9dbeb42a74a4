// JSON to protobuf and back, by the descriptor table: what etcd's gateway speaks. On output names
// are those of the .proto files, what is zero is left out, 64-bit numbers are strings, bytes are
// base64 and enums are names; on input camelCase names, plain numbers, enum numbers and URL-safe
// base64 are understood too, and unknown fields are passed over.

import {
  enumDescriptors,
  type FieldDescriptor,
  messageDescriptors,
  messageDepthMax,
  Reader,
  sharedWriter as writer,
} from "../wire/index.ts";

/** JSON that is not what the message asks for; the text is for the client. */
export class JsonError extends Error {
  override name = "JsonError";
}

type JsonObject = Record<string, unknown>;

interface Message {
  readonly fields: readonly FieldDescriptor[];
  readonly byName: ReadonlyMap<string, FieldDescriptor>;
  readonly byNumber: ReadonlyMap<number, FieldDescriptor>;
}

const messages = new Map<string, Message>();

function messageOf(type: string): Message {
  let message = messages.get(type);
  if (message === undefined) {
    const fields = messageDescriptors[type]?.fields ?? [];
    message = {
      fields,
      byName: new Map(
        fields.flatMap((field) => [
          [field.name, field],
          [field.jsonName, field],
        ]),
      ),
      byNumber: new Map(fields.map((field) => [field.number, field])),
    };
    messages.set(type, message);
  }
  return message;
}

/** Encodes parsed JSON as a message of the given full name. Throws JsonError. */
export function jsonToMessage(type: string, json: unknown): Uint8Array {
  writer.begin();
  writeMessage(messageOf(type), asObject(json, "the request"), 0);
  return writer.finish();
}

/** Writes from the last field to the first, as the writer wants it. */
function writeMessage(message: Message, json: JsonObject, depth: number): void {
  if (depth > messageDepthMax) {
    throw new JsonError("nested too deeply");
  }
  const given = Object.entries(json)
    .map(([name, value]) => ({ field: message.byName.get(name), value }))
    .filter(({ value }) => value !== null && value !== undefined)
    .sort((a, b) => (b.field?.number ?? 0) - (a.field?.number ?? 0));
  for (const { field, value } of given) {
    if (field === undefined) {
      continue;
    }
    if (!field.repeated) {
      writeField(field, value, depth);
      continue;
    }
    if (!Array.isArray(value)) {
      throw new JsonError(`${field.name} must be a list`);
    }
    for (let i = value.length - 1; i >= 0; i--) {
      writeField(field, value[i], depth);
    }
  }
}

function writeField(field: FieldDescriptor, value: unknown, depth: number): void {
  const { number, type, name } = field;
  switch (type) {
    case "bool":
      if (typeof value !== "boolean") {
        throw new JsonError(`${name} must be true or false`);
      }
      writer.bool(value);
      writer.tag(number * 8);
      return;
    case "string":
      if (typeof value !== "string") {
        throw new JsonError(`${name} must be a string`);
      }
      writer.string(value);
      writer.tag(number * 8 + 2);
      return;
    case "bytes":
      writer.bytes(asBytes(value, name));
      writer.tag(number * 8 + 2);
      return;
    case "int64":
    case "uint64":
    case "uint32":
      writer.big64(asInteger(value, field));
      writer.tag(number * 8);
      return;
    case "fixed64":
      writer.fixed64(asInteger(value, field));
      writer.tag(number * 8 + 1);
      return;
    default:
      writeEnumOrMessage(field, value, depth);
  }
}

function writeEnumOrMessage(field: FieldDescriptor, value: unknown, depth: number): void {
  const values = enumDescriptors[field.type];
  if (values !== undefined) {
    const number = typeof value === "string" ? values[value] : value;
    if (typeof number !== "number" || !Number.isInteger(number)) {
      throw new JsonError(`${field.name}: no such value`);
    }
    writer.int64(number);
    writer.tag(field.number * 8);
    return;
  }
  const mark = writer.mark();
  writeMessage(messageOf(field.type), asObject(value, field.name), depth + 1);
  writer.lengthSince(mark);
  writer.tag(field.number * 8 + 2);
}

function asObject(value: unknown, name: string): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new JsonError(`${name} must be an object`);
  }
  return value as JsonObject;
}

const base64Text = /^[A-Za-z0-9+/_-]*={0,2}$/;

function asBytes(value: unknown, name: string): Uint8Array {
  if (typeof value !== "string" || !base64Text.test(value)) {
    throw new JsonError(`${name} must be base64`);
  }
  return Buffer.from(value, "base64");
}

function asInteger(value: unknown, { name, type }: FieldDescriptor): bigint {
  const whole = typeof value === "number" ? Number.isSafeInteger(value) : isWholeText(value);
  if (!whole) {
    throw new JsonError(`${name} must be a whole number`);
  }
  const integer = BigInt(value as string | number);
  const fits =
    type === "int64"
      ? BigInt.asIntN(64, integer) === integer
      : BigInt.asUintN(type === "uint32" ? 32 : 64, integer) === integer;
  if (!fits) {
    throw new JsonError(`${name} is out of range`);
  }
  return integer;
}

function isWholeText(value: unknown): boolean {
  return typeof value === "string" && /^-?\d{1,20}$/.test(value);
}

/** Decodes a message of the given full name for JSON.stringify. Throws DecodeError. */
export function messageToJson(type: string, bytes: Uint8Array): JsonObject {
  return readMessage(messageOf(type), new Reader(bytes));
}

function readMessage(message: Message, reader: Reader): JsonObject {
  const read = new Map<number, unknown>();
  while (reader.offset < reader.limit) {
    const tag = reader.tag();
    const field = message.byNumber.get(tag >>> 3);
    if (field === undefined || (tag & 7) !== wireTypeOf(field)) {
      reader.skip(tag);
      continue;
    }
    const value = readValue(field, reader);
    if (field.repeated) {
      const list = (read.get(field.number) as unknown[] | undefined) ?? [];
      list.push(value);
      read.set(field.number, list);
    } else {
      read.set(field.number, value);
    }
  }
  const json: JsonObject = {};
  for (const { name, number } of message.fields) {
    if (read.has(number)) {
      json[name] = read.get(number);
    }
  }
  return json;
}

function wireTypeOf({ type }: FieldDescriptor): number {
  switch (type) {
    case "bool":
    case "int64":
    case "uint64":
    case "uint32":
      return 0;
    case "fixed64":
      return 1;
    default:
      return enumDescriptors[type] === undefined ? 2 : 0;
  }
}

function readValue({ type }: FieldDescriptor, reader: Reader): unknown {
  switch (type) {
    case "bool":
      return reader.bool();
    case "string":
      return reader.string();
    case "bytes": {
      const bytes = reader.bytes();
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
    }
    case "int64":
      return String(reader.int64Big());
    case "uint64":
      return String(reader.uint64Big());
    case "uint32":
      return reader.uint32();
    case "fixed64":
      return String(reader.fixed64Big());
    default: {
      if (enumDescriptors[type] !== undefined) {
        return enumName(type, reader.int32());
      }
      const outer = reader.enter();
      const value = readMessage(messageOf(type), reader);
      reader.leave(outer);
      return value;
    }
  }
}

function enumName(type: string, number: number): string | number {
  const names = Object.entries(enumDescriptors[type] ?? {});
  return names.find(([, value]) => value === number)?.[0] ?? number;
}

/** The JSON texts that stand one after the other in a body; a streaming call's messages. */
export function splitJson(text: string): string[] {
  const texts: string[] = [];
  let start = 0;
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (inString) {
      if (character === "\\") {
        i++;
      } else if (character === '"') {
        inString = false;
      }
    } else if (character === '"') {
      inString = true;
    } else if (character === "{" || character === "[") {
      depth++;
    } else if ((character === "}" || character === "]") && --depth === 0) {
      texts.push(text.slice(start, i + 1));
      start = i + 1;
    }
  }
  const rest = text.slice(start).trim();
  return rest === "" ? texts : [...texts, rest];
}
