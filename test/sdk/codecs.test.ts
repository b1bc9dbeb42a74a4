// Codecs and schemas: what is stored, and what a value that does not fit is told.

import { describe, expect, it } from "vitest";
import { z } from "zod";
import { fromUtf8, utf8 } from "../../src/base/index.ts";
import {
  bytes,
  type Codec,
  InvalidValueError,
  json,
  schema,
  type StandardSchema,
  text,
} from "../../src/sdk/index.ts";
import { Entries } from "../../src/sdk/entry.ts";
import { Keyspace } from "../../src/sdk/keys.ts";
import { KeyValue } from "../../src/wire/index.ts";

const space = new Keyspace(utf8("ns/"));

async function written<In>(codec: Codec<unknown, In>, value: In): Promise<string> {
  return fromUtf8(await new Entries(space, codec).encode("k", value));
}

async function read<Out>(codec: Codec<Out, never>, stored: string): Promise<Out> {
  const kv = KeyValue.create({ key: utf8("ns/k"), value: utf8(stored) });
  return (await new Entries(space, codec).decode(kv)).value;
}

async function failureOf(work: Promise<unknown>): Promise<InvalidValueError> {
  const error: unknown = await work.catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(InvalidValueError);
  return error as InvalidValueError;
}

const person = z.object({
  name: z.string().min(1),
  tags: z.array(z.string()).default([]),
  born: z.coerce.date<string>().optional(),
});

/** A schema that takes its time, of no library. */
const slow: StandardSchema<number, string> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: async (value) =>
      typeof value === "number"
        ? { value: `<${value}>` }
        : { issues: [{ message: "not a number", path: [{ key: "a" }, 0, "b"] }] },
  },
};

it("writes text, bytes and JSON", async () => {
  expect(await written(text, "é")).toBe("é");
  expect(await written(bytes, utf8("x"))).toBe("x");
  expect(await written(json(), { a: [1] })).toBe('{"a":[1]}');
  expect(await read(json<{ a: number[] }>(), '{"a":[1]}')).toEqual({ a: [1] });
});

it("gives bytes that do not hold on to the reply", () => {
  const reply = utf8("0123456789");
  const value = bytes.decode(reply.subarray(2, 4)) as Uint8Array;
  expect(value.buffer.byteLength).toBe(2);
});

it("says which key has what is no JSON", async () => {
  const error = await failureOf(read(json(), "{"));
  expect([error.key, error.direction]).toEqual(["k", "read"]);
  expect(error.cause).toBeInstanceOf(SyntaxError);
  expect((await failureOf(written(json(), undefined))).direction).toBe("write");
});

describe("a schema", () => {
  it("checks what is written, and stores it as it was given", async () => {
    const codec = schema(person);
    expect(await written(codec, { name: "Ada", born: "1815-12-10" })).toBe(
      '{"name":"Ada","born":"1815-12-10"}',
    );
    const error = await failureOf(written(codec, { name: "" }));
    expect(error.message).toMatch(/^the value for "k" is invalid: name: /);
    expect(error.issues).toHaveLength(1);
  });

  it("parses what is read", async () => {
    const value = await read(schema(person), '{"name":"Ada","born":"1815-12-10"}');
    expect(value).toEqual({ name: "Ada", tags: [], born: new Date("1815-12-10") });
    const error = await failureOf(read(schema(person), '{"name":"Ada","tags":["a",1]}'));
    expect(error.message).toContain('stored at "k" is invalid: tags[1]: ');
  });

  it("may be asynchronous", async () => {
    const codec = schema(slow);
    expect(await written(codec, 7)).toBe("7");
    expect(await read(codec, "7")).toBe("<7>");
    expect((await failureOf(read(codec, '"x"'))).message).toContain("a[0].b: not a number");
  });

  it("leaves no failure of a list unheard", async () => {
    const entries = new Entries(space, {
      encode: utf8,
      decode: (stored: Uint8Array) => {
        if (stored.length === 0) {
          throw new Error("at once");
        }
        return Promise.reject<string>(new Error("later"));
      },
    });
    const kvs = ["x", "", "y"].map((value) => KeyValue.create({ value: utf8(value) }));
    await failureOf(Promise.resolve(entries.decodeAll(kvs)));
  });
});
