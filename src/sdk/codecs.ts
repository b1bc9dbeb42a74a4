// Values as a program has them, and as bytes.

import { copyBytes, fromUtf8, utf8 } from "../base/index.ts";
import { InvalidValueError } from "./errors.ts";
import {
  isStandardSchema,
  type SchemaInput,
  type SchemaOutput,
  type StandardIssue,
  type StandardResult,
  type StandardSchema,
} from "./standard-schema.ts";

/** A value, or a promise of it. */
export type Awaitable<T> = T | Promise<T>;

/**
 * How values are written and read: `In` is what a program writes, `Out` what it reads. Either way
 * may throw (or reject); the caller gets an InvalidValueError that names the key.
 */
export interface Codec<Out, In = Out> {
  encode(value: In): Awaitable<Uint8Array>;
  /** `bytes` is a view into a larger reply; what keeps it must copy it. */
  decode(bytes: Uint8Array): Awaitable<Out>;
}

/** UTF-8 text. */
export const text: Codec<string> = { encode: utf8, decode: fromUtf8 };

/** Bytes as they are. */
export const bytes: Codec<Uint8Array> = { encode: (value) => value, decode: copyBytes };

/** JSON text. `T` is believed, not checked: use `schema` where others write, too. */
export function json<T = unknown>(): Codec<T> {
  return {
    encode: (value) => {
      const written = JSON.stringify(value) as string | undefined;
      if (written === undefined) {
        throw new TypeError(`${typeof value} has no JSON`);
      }
      return utf8(written);
    },
    decode: (stored) => JSON.parse(fromUtf8(stored)) as T,
  };
}

/** Thrown by a codec to say what a schema found. */
class SchemaFailure extends Error {
  readonly issues: readonly StandardIssue[];

  constructor(issues: readonly StandardIssue[]) {
    super("the schema does not fit");
    this.issues = issues;
  }
}

function valueOf<T>(result: StandardResult<T>): T {
  if (result.issues !== undefined) {
    throw new SchemaFailure(result.issues);
  }
  return result.value;
}

/**
 * JSON that fits a schema of any library of Standard Schema. What is written is checked and stored
 * as it was given; what is read is parsed by the schema, so that defaults and conversions happen at
 * each reading. A schema must therefore take what JSON makes of its input.
 */
export function schema<Schema extends StandardSchema>(
  standard: Schema,
): Codec<SchemaOutput<Schema>, SchemaInput<Schema>> {
  const { validate } = standard["~standard"];
  const { encode, decode } = json<SchemaInput<Schema>>();
  return {
    encode: (value) => {
      const result = validate(value);
      if (result instanceof Promise) {
        return result.then(valueOf).then(() => encode(value));
      }
      valueOf(result);
      return encode(value);
    },
    decode: (stored) => {
      const result = validate(decode(stored));
      return result instanceof Promise ? result.then(valueOf) : valueOf(result);
    },
  };
}

/** A codec as it is, or the one for a schema. */
export function codecOf<Out, In>(codec: Codec<Out, In> | StandardSchema<In, Out>): Codec<Out, In> {
  return isStandardSchema(codec) ? (schema(codec) as Codec<Out, In>) : codec;
}

/** `work` with whatever it throws turned into InvalidValueError. */
export function orInvalid<T>(
  key: string,
  direction: "read" | "write",
  work: () => Awaitable<T>,
): Awaitable<T> {
  const wrap = (error: unknown): InvalidValueError =>
    error instanceof SchemaFailure
      ? new InvalidValueError(key, direction, error.issues)
      : new InvalidValueError(key, direction, [], error);
  try {
    const done = work();
    return done instanceof Promise
      ? done.catch((error: unknown) => Promise.reject(wrap(error)))
      : done;
  } catch (error) {
    throw wrap(error);
  }
}
