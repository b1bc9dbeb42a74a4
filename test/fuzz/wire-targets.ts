// Bytes that clients and members send: messages, JSON, commands, frames, handshakes. Raft messages
// have theirs in test/node.

import fc from "fast-check";
import { DecodeError, concatBytes } from "../../src/base/index.ts";
import { JsonError, jsonToMessage, messageToJson, splitJson } from "../../src/http/json.ts";
import { decodeConfChange } from "../../src/node/conf-change.ts";
import {
  ByteQueue,
  decodeHello,
  decodeReply,
  frameBytesMax,
  takeFrame,
} from "../../src/peer/framing.ts";
import { decodeCommand, encodeCommand, messageDescriptors } from "../../src/wire/index.ts";
import { codecOf, messageArbitrary } from "../wire/messages.ts";
import { expect } from "./expect.ts";
import { edits, mutate } from "./mutate.ts";
import { bounded } from "./target.ts";
import type { Target } from "./target.ts";

const names = Object.keys(messageDescriptors);

/** A message type with bytes that are no such message, or only by chance. */
const damaged = fc.constantFrom(...names).chain((name) =>
  fc.record({
    name: fc.constant(name),
    bytes: fc.oneof(
      { arbitrary: fc.uint8Array({ maxLength: 200 }), weight: 1 },
      {
        arbitrary: fc
          .tuple(messageArbitrary(name), edits)
          .map(([message, list]) => mutate(codecOf(name).encode(message), list)),
        weight: 3,
      },
    ),
  }),
);

const messages: Target = {
  name: "protobuf messages",
  runs: 1_500,
  property: fc.property(damaged, ({ name, bytes }) => {
    const codec = codecOf(name);
    const message = bounded([DecodeError], () => codec.decode(bytes));
    if (message !== undefined) {
      const again = codec.encode(message);
      expect(
        Buffer.compare(again, codec.encode(codec.decode(again))) === 0,
        `${name} is not read as it was written`,
      );
    }
  }),
};

const messagesAsJson: Target = {
  name: "protobuf messages shown as JSON",
  runs: 500,
  property: fc.property(damaged, ({ name, bytes }) => {
    const json = bounded([DecodeError], () => messageToJson(name, bytes));
    if (json !== undefined) {
      // What is shown is understood, but for numbers that decoding refuses.
      const back = jsonToMessage(name, JSON.parse(JSON.stringify(json)));
      bounded([DecodeError], () => codecOf(name).decode(back));
    }
  }),
};

/** JSON that looks like a request, with values of every wrong kind. */
const json = fc.constantFrom(...names).chain((name) => {
  const fields = messageDescriptors[name]?.fields ?? [];
  const keys = fields.flatMap((field) => [field.name, field.jsonName]);
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom("AA==", "-", "1e400", "18446744073709551616", "-9223372036854775809", -0, 1e30),
    fc.array(fc.constantFrom({}, null, "AA==", 1), { maxLength: 3 }),
  );
  const key = fc.constantFrom("__proto__", "constructor", "toString", ...keys);
  return fc.record({
    name: fc.constant(name),
    text: fc
      .dictionary(key, value, { maxKeys: 5, noNullPrototype: true })
      .map((object) => JSON.stringify(object)),
    list: edits,
  });
});

const jsonBodies: Target = {
  name: "JSON bodies",
  runs: 800,
  property: fc.property(json, ({ name, text, list }) => {
    const broken = Buffer.from(mutate(Buffer.from(text), list)).toString();
    for (const body of [text, ...(bounded([], () => splitJson(`${text}${broken}`)) ?? [])]) {
      let value: unknown;
      try {
        value = JSON.parse(body);
      } catch {
        continue;
      }
      const bytes = bounded([JsonError], () => jsonToMessage(name, value));
      if (bytes !== undefined) {
        bounded([DecodeError], () => codecOf(name).decode(bytes));
      }
    }
    expect(Object.keys(Object.prototype).length === 0, "a body has changed every object");
  }),
};

const deepJson: Target = {
  name: "deep JSON bodies",
  runs: 20,
  property: fc.property(fc.integer({ min: 1, max: 20_000 }), (depth) => {
    const open = '{"success":[{"requestTxn":';
    const value: unknown = JSON.parse(`${open.repeat(depth)}{}${"}]}".repeat(depth)}`);
    bounded([JsonError], () => jsonToMessage("etcdserverpb.TxnRequest", value));
  }),
};

const command = fc
  .record({
    body: fc.uint8Array({ maxLength: 60 }),
    origin: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    sequence: fc.maxSafeNat(),
    user: fc.string({ maxLength: 10 }),
    authRevision: fc.maxSafeNat(),
  })
  .map(({ body, ...envelope }) => encodeCommand("txn", body, envelope));

const commands: Target = {
  name: "command envelopes",
  runs: 1_000,
  property: fc.property(command, edits, (bytes, list) => {
    bounded([DecodeError], () => decodeCommand(mutate(bytes, list)));
    bounded([DecodeError], () => decodeConfChange(mutate(bytes, list)));
  }),
};

const frames: Target = {
  name: "peer frames",
  runs: 500,
  property: fc.property(
    fc.array(
      fc.oneof(
        fc.uint8Array({ maxLength: 30 }),
        fc.uint8Array({ maxLength: 30 }).map((body) => {
          const head = new Uint8Array(5);
          new DataView(head.buffer).setUint32(0, body.length + 1);
          return concatBytes([head, body]);
        }),
      ),
      { maxLength: 8 },
    ),
    (chunks) => {
      const queue = new ByteQueue();
      let fed = 0;
      let taken = 0;
      bounded([DecodeError], () => {
        for (const chunk of chunks) {
          queue.push(chunk);
          fed += chunk.length;
          for (let frame = takeFrame(queue); frame !== undefined; frame = takeFrame(queue)) {
            taken += 5 + frame.body.length;
            expect(frame.body.length < frameBytesMax, "a frame beyond the bound");
          }
        }
        expect(taken + queue.size === fed, "bytes of frames were lost");
      });
    },
  ),
};

const handshakes: Target = {
  name: "peer handshakes",
  runs: 500,
  property: fc.property(
    fc.uint8Array({ minLength: 35, maxLength: 35 }),
    fc.boolean(),
    (any, real) => {
      if (real) {
        any.set(Buffer.from("QRATPEER"));
      }
      bounded([DecodeError], () => decodeHello(any));
      bounded([DecodeError], () => decodeReply(any.subarray(0, 11)));
    },
  ),
};

export const wireTargets: readonly Target[] = [
  messages,
  messagesAsJson,
  jsonBodies,
  deepJson,
  commands,
  frames,
  handshakes,
];
