// What strangers send before anybody knows who they are: header blocks, tokens, WebSocket frames.
// Whole HTTP/2 conversations have theirs in test/grpc.

import { generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { JwtTokens } from "../../src/api/jwt.ts";
import { HpackDecoder, HpackError } from "../../src/grpc/hpack-decoder.ts";
import { sniff } from "../../src/grpc/sniff.ts";
import { WebSocketError, WebSocketReader } from "../../src/http/websocket-frames.ts";
import { headerBlock, requestFields } from "../grpc/raw-h2.ts";
import { expect } from "./expect.ts";
import { edits, mutate } from "./mutate.ts";
import { bounded } from "./target.ts";
import type { Target } from "./target.ts";

const limits = { headerFieldsMax: 20, headerListBytesMax: 2_000 };
const wholeBlock = headerBlock(requestFields("/etcdserverpb.KV/Range", [["x-a", "b".repeat(40)]]));

/** An integer of any width in any representation, and some bytes behind it. */
const representation: fc.Arbitrary<Buffer> = fc
  .tuple(fc.nat(255), fc.nat(6), fc.uint8Array({ maxLength: 30 }))
  .map(([first, digits, rest]) =>
    Buffer.concat([Buffer.of(first), Buffer.alloc(digits, 0xff), Buffer.of(digits), rest]),
  );

const headerBlocks: Target = {
  name: "header blocks",
  runs: 1_500,
  property: fc.property(
    fc.array(
      fc.oneof(
        edits.map((list) => mutate(wholeBlock, list)),
        representation,
        fc.array(representation, { maxLength: 60 }).map((all) => Buffer.concat(all)),
      ),
      { minLength: 1, maxLength: 4 },
    ),
    (blocks) => {
      const decoder = new HpackDecoder(limits);
      bounded([HpackError], () => {
        for (const block of blocks) {
          const fields = decoder.decode(block, 0, block.length);
          expect(decoder.tooLarge || fields.length <= limits.headerFieldsMax, "too many fields");
          expect(decoder.tableSizeBytes <= 4_096, "a table beyond its bound");
        }
      });
    },
  ),
};

const firstBytes: Target = {
  name: "first bytes of a connection",
  runs: 500,
  property: fc.property(
    edits,
    fc.constantFrom("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\n", "\x16\x03\x01\x02"),
    (list, whole) => void bounded([], () => sniff(mutate(Buffer.from(whole, "latin1"), list))),
  ),
};

const nowMs = 1_700_000_000_000;
const ttlMs = 60_000;
const { privateKey: ecKey } = generateKeyPairSync("ec", {
  namedCurve: "prime256v1",
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
  publicKeyEncoding: { type: "spki", format: "pem" },
});
const secret = Buffer.from("a secret of some length");

function tokensOf(signMethod: string, privateKey: Uint8Array): JwtTokens {
  return new JwtTokens({ signMethod, publicKey: undefined, privateKey, ttlMs }, () => nowMs);
}

const signers = {
  HS256: tokensOf("HS256", secret),
  ES256: tokensOf("ES256", Buffer.from(ecKey)),
};

/** Says "signed" with the secret, whatever the parts are: what a wrong issuer would make. */
const claims = fc.dictionary(
  fc.constantFrom("username", "revision", "exp", "nbf", "__proto__"),
  fc.oneof(
    fc.jsonValue({ maxDepth: 1 }),
    fc.constantFrom("root", 1, 2e9, -1, Number.MAX_VALUE, "1"),
  ),
  { maxKeys: 4, noNullPrototype: true },
);

const tokens: Target = {
  name: "JSON web tokens",
  runs: 400,
  property: fc.property(
    fc.constantFrom("HS256" as const, "ES256" as const),
    edits,
    fc.constantFrom("none", "HS256", "ES256", "RS256", "hs256", null, 7),
    claims,
    (method, list, algorithm, claimed) => {
      const signer = signers[method];
      const whole = signer.sign("ann", 3);
      const changed = Buffer.from(mutate(Buffer.from(whole), list)).toString("latin1");
      const caller = bounded([], () => signer.verify(changed));
      // Base64 has several writings of the last character: what is signed is the same then.
      const [head, body] = changed.split(".");
      const isSame = whole.startsWith(`${head}.${body}.`);
      expect(caller === undefined || isSame, `an altered token was taken: ${changed}`);
      const forged = [{ alg: algorithm, typ: "JWT" }, claimed]
        .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
        .join(".");
      for (const signature of ["", whole.split(".")[2] ?? "", "AA"]) {
        const taken = bounded([], () => signer.verify(`${forged}.${signature}`));
        expect(taken === undefined, `a token that nobody signed was taken: ${forged}`);
      }
    },
  ),
};

function webSocketFrame(first: number, body: Uint8Array, masked: boolean): Buffer {
  const head = Buffer.of(first, (masked ? 0x80 : 0) | body.length);
  return Buffer.concat([head, ...(masked ? [Buffer.alloc(4)] : []), body]);
}

const webSocketFrames: Target = {
  name: "WebSocket frames",
  runs: 1_000,
  property: fc.property(
    fc.array(
      fc.tuple(
        fc.constantFrom(0x81, 0x01, 0x00, 0x80, 0x88, 0x89, 0x8a, 0x82, 0xc1, 0x8f),
        fc.uint8Array({ maxLength: 100 }),
        fc.integer({ min: 0, max: 9 }).map((chance) => chance > 0),
      ),
      { maxLength: 8 },
    ),
    fc.tuple(fc.boolean(), edits),
    fc.nat(),
    (frames, [altered, list], cut) => {
      const whole = Buffer.concat(frames.map((frame) => webSocketFrame(...frame)));
      const bytes = Buffer.from(altered ? mutate(whole, list) : whole);
      const at = cut % (bytes.length + 1);
      const once = bounded([WebSocketError], () => new WebSocketReader(200).push(bytes));
      const twice = bounded([WebSocketError], () => {
        const reader = new WebSocketReader(200);
        return [...reader.push(bytes.subarray(0, at)), ...reader.push(bytes.subarray(at))];
      });
      expect(JSON.stringify(once) === JSON.stringify(twice), "how it was cut changes the messages");
      for (const event of once ?? []) {
        expect(event.kind !== "message" || event.text.length <= 200, "a message beyond its bound");
      }
    },
  ),
};

export const requestTargets: readonly Target[] = [
  headerBlocks,
  firstBytes,
  tokens,
  webSocketFrames,
];
