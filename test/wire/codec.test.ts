import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { messageDescriptors } from "../../src/wire/index.ts";
import {
  codecOf,
  decodeByReference,
  decodeOrError,
  encodeByReference,
  messageArbitrary,
} from "./messages.ts";

const names = Object.keys(messageDescriptors);

test("every message has a codec", () => {
  expect(names.length).toBeGreaterThan(125);
  for (const name of names) {
    expect(codecOf(name).decode(new Uint8Array(0))).toEqual(codecOf(name).create());
  }
});

describe.each(names)("%s", (name) => {
  const codec = codecOf(name);

  test("what we write, we and protobufjs read back; what protobufjs writes, we read", () => {
    fc.assert(
      fc.property(messageArbitrary(name), (message) => {
        const bytes = codec.encode(message);
        expect(codec.decode(bytes)).toEqual(message);
        const theirs = encodeByReference(name, message);
        expect(codec.decode(theirs)).toEqual(message);
        expect(decodeByReference(name, bytes)).toEqual(decodeByReference(name, theirs));
      }),
      { numRuns: 30 },
    );
  });

  test("damaged bytes give a message or DecodeError", () => {
    fc.assert(
      fc.property(
        messageArbitrary(name),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
        fc.nat(),
        (message, changes, cut) => {
          const bytes = codec.encode(message).slice();
          for (const [at, value] of changes) {
            if (bytes.length > 0) {
              bytes[at % bytes.length] = value;
            }
          }
          for (const input of [bytes, bytes.subarray(0, cut % (bytes.length + 1))]) {
            expect(decodeOrError(codec, input)).toBeDefined();
          }
        },
      ),
      { numRuns: 30 },
    );
  });
});
