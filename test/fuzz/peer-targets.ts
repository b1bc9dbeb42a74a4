// A member's peer port, and strangers who say anything on it: whatever they say, the member goes
// on and takes the next link.

import { connect } from "node:net";
import fc from "fast-check";
import { SeededRng, concatBytes, silentLogger } from "../../src/base/index.ts";
import type { ClusterId, MemberId } from "../../src/base/index.ts";
import { realClock } from "../../src/node/index.ts";
import { decodeMessage } from "../../src/node/peer-codec.ts";
import { TcpPeerNetwork, silentPeerMetrics } from "../../src/peer/index.ts";
import { encodeHello, frameKinds } from "../../src/peer/framing.ts";
import { expect } from "./expect.ts";
import { edits, mutate } from "./mutate.ts";
import type { Target } from "./target.ts";

const clusterId = 0xc1n as ClusterId;
const memberId = 1n as MemberId;
/** A stranger is let go within this once it has hung up, milliseconds. */
const closeMsMax = 5_000;
const wholeHello = hello("messages", 2n);

function hello(purpose: "messages" | "snapshot", from: bigint): Uint8Array {
  return encodeHello({ version: 1, purpose, clusterId, from: from as MemberId, to: memberId });
}

async function start(): Promise<{ readonly network: TcpPeerNetwork; readonly port: number }> {
  const network = new TcpPeerNetwork({
    clusterId,
    memberId,
    listenUrls: ["http://127.0.0.1:0"],
    clock: realClock,
    rng: new SeededRng(1),
    logger: silentLogger,
    metrics: silentPeerMetrics,
  });
  await network.start({
    onFrame: (_from, { bytes }) => void decodeMessage(bytes),
    onRequest: (_from, _kind, body) => Promise.resolve(body),
    onSnapshot: async (_from, _header, chunks) => {
      for await (const chunk of chunks) {
        expect(chunk.length > 0, "an empty chunk");
      }
    },
    onUnreachable: () => undefined,
    onRefused: () => undefined,
    isRemoved: () => false,
  });
  return { network, port: network.ports[0] as number };
}

/** Says `chunks` and hangs up; resolves with what was answered once the other side has, too. */
function say(port: number, chunks: readonly Uint8Array[]): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" });
    const answers: Uint8Array[] = [];
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error("the link is not let go"));
    }, closeMsMax);
    socket.on("data", (chunk: Uint8Array) => answers.push(chunk));
    // Reset by the member, as it may be.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(concatBytes(answers));
    });
    for (const chunk of chunks) {
      socket.write(chunk);
    }
    socket.end();
  });
}

const frame = fc
  .tuple(
    fc.oneof(fc.constantFrom(...Object.values(frameKinds)), fc.nat(255)),
    fc.uint8Array({ maxLength: 60 }),
  )
  .map(([kind, body]) => {
    const bytes = new Uint8Array(5 + body.length);
    new DataView(bytes.buffer).setUint32(0, body.length + 1);
    bytes[4] = kind;
    bytes.set(body, 5);
    return bytes;
  });

const speech = fc
  .tuple(
    fc.constantFrom(wholeHello, hello("snapshot", 3n), new Uint8Array()),
    fc.array(frame, { maxLength: 6 }),
    fc.option(edits),
  )
  .map(([greeting, frames, list]) => {
    const bytes = concatBytes([greeting, ...frames]);
    return list === null ? bytes : mutate(bytes, list);
  });

const strangers: Target = {
  name: "strangers on the peer port",
  runs: 60,
  property: fc.asyncProperty(speech, fc.nat(), async (bytes, cut) => {
    const { network, port } = await start();
    try {
      const at = cut % (bytes.length + 1);
      await say(port, [bytes.subarray(0, at), bytes.subarray(at)]);
      const welcome = await say(port, [wholeHello]);
      expect(welcome.length === 11 && welcome[10] === 0, "the member takes no link any more");
    } finally {
      await network.close();
    }
  }),
};

export const peerTargets: readonly Target[] = [strangers];
