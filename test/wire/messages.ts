// What the wire tests share: our codecs by name, protobufjs as the other opinion, and arbitrary
// messages built from the descriptor table.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import protobuf from "protobufjs";

import { DecodeError } from "../../src/base/index.ts";
import * as wire from "../../src/wire/index.ts";
import { enumDescriptors, messageDescriptors } from "../../src/wire/index.ts";
import type { FieldDescriptor } from "../../src/wire/index.ts";
import { typeName } from "../../scripts/generate-wire/names.ts";

export type PlainMessage = Record<string, unknown>;

export interface Codec {
  create(partial?: object): PlainMessage;
  encode(message: PlainMessage): Uint8Array;
  decode(bytes: Uint8Array): PlainMessage;
}

const folder = join(import.meta.dirname, "../../proto");

function load(): protobuf.Root {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => join(folder, target);
  const files = readdirSync(folder).filter((name) => name.endsWith(".proto"));
  root.loadSync(files.sort(), { keepCase: true });
  root.resolveAll();
  return root;
}

export const reference = load();

/** Our codec of a message, by its full name. */
export function codecOf(fullName: string): Codec {
  const name = typeName(reference.lookupType(fullName));
  const found = (wire as unknown as Record<string, Codec | undefined>)[name];
  if (found === undefined) {
    throw new Error(`no codec for ${fullName}`);
  }
  return found;
}

/** Messages that contain themselves stop growing below this depth. */
const depthMax = 4;

function scalarArbitrary(field: FieldDescriptor): fc.Arbitrary<unknown> {
  if (enumDescriptors[field.type] !== undefined) {
    return fc.integer({ min: 0, max: 6 });
  }
  switch (field.type) {
    case "bool":
      return fc.boolean();
    case "bytes":
      return fc.uint8Array({ maxLength: 200 });
    case "string":
      return fc.string({ unit: "binary", maxLength: 80 });
    case "uint32":
      return fc.integer({ min: 0, max: 0xffff_ffff });
    case "int32":
      return fc.integer();
    case "int64":
      return field.asNumber
        ? fc.oneof(fc.integer({ min: -5, max: 300 }), fc.maxSafeInteger())
        : fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case "uint64":
    case "fixed64":
      return field.asNumber
        ? fc.oneof(fc.nat(300), fc.maxSafeNat())
        : fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    default:
      throw new Error(`unknown scalar ${field.type}`);
  }
}

function fieldArbitrary(field: FieldDescriptor, depth: number): fc.Arbitrary<unknown> {
  if (messageDescriptors[field.type] !== undefined) {
    return messageArbitrary(field.type, depth + 1);
  }
  return scalarArbitrary(field);
}

/** Any message of the type, in our shape. */
export function messageArbitrary(fullName: string, depth = 0): fc.Arbitrary<PlainMessage> {
  const fields = messageDescriptors[fullName]?.fields ?? [];
  const parts: Record<string, fc.Arbitrary<unknown>> = {};
  const unions = new Map<string, fc.Arbitrary<unknown>[]>();
  for (const field of fields) {
    const embedded = messageDescriptors[field.type] !== undefined;
    if (embedded && depth >= depthMax) {
      if (field.oneof === undefined) {
        parts[field.property] = fc.constant(field.repeated ? [] : undefined);
      } else if (!unions.has(field.oneof)) {
        unions.set(field.oneof, []);
      }
      continue;
    }
    const one = fieldArbitrary(field, depth);
    if (field.oneof !== undefined) {
      const variants = unions.get(field.oneof) ?? [];
      variants.push(one.map((value) => ({ kind: field.property, value })));
      unions.set(field.oneof, variants);
    } else if (field.repeated) {
      parts[field.property] = fc.array(one, { maxLength: 3 });
    } else {
      parts[field.property] = embedded ? fc.option(one, { nil: undefined }) : one;
    }
  }
  for (const [property, variants] of unions) {
    parts[property] =
      variants.length === 0
        ? fc.constant(undefined)
        : fc.option(fc.oneof(...variants), { nil: undefined });
  }
  return fc.record(parts);
}

function longOf(value: unknown): unknown {
  const bits = BigInt.asUintN(64, BigInt(value as number | bigint));
  return new protobuf.util.Long(Number(bits & 0xffff_ffffn) | 0, Number(bits >> 32n) | 0);
}

function valueToReference(field: FieldDescriptor, value: unknown): unknown {
  if (messageDescriptors[field.type] !== undefined) {
    return toReference(field.type, value as PlainMessage);
  }
  return field.type.endsWith("64") ? longOf(value) : value;
}

/** Our message in protobufjs's shape. */
export function toReference(fullName: string, message: PlainMessage): PlainMessage {
  const result: PlainMessage = {};
  for (const field of messageDescriptors[fullName]?.fields ?? []) {
    if (field.oneof !== undefined) {
      const union = message[field.oneof] as { kind: string; value: unknown } | undefined;
      if (union?.kind === field.property) {
        result[field.name] = valueToReference(field, union.value);
      }
      continue;
    }
    const value = message[field.property];
    if (field.repeated) {
      result[field.name] = (value as unknown[]).map((one) => valueToReference(field, one));
    } else if (value !== undefined) {
      result[field.name] = valueToReference(field, value);
    }
  }
  return result;
}

export function encodeByReference(fullName: string, message: PlainMessage): Uint8Array {
  const type = reference.lookupType(fullName);
  return new Uint8Array(type.encode(toReference(fullName, message)).finish());
}

/** What protobufjs reads, as comparable plain data. */
export function decodeByReference(fullName: string, bytes: Uint8Array): unknown {
  const type = reference.lookupType(fullName);
  return type.toObject(type.decode(bytes), {
    longs: String,
    bytes: String,
    arrays: true,
    defaults: true,
  });
}

/** The message, or the DecodeError; any other failure is thrown. */
export function decodeOrError(codec: Codec, bytes: Uint8Array): PlainMessage | DecodeError {
  try {
    return codec.decode(bytes);
  } catch (error) {
    if (error instanceof DecodeError) {
      return error;
    }
    throw error;
  }
}
