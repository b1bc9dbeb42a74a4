// Attacks a server, all at once and again and again, until SIGTERM; then prints how often each ran.
// Run by attacks.test.ts in a process of its own, so that only the server's work delays its others.

import { frameFlag, frameType, settingId } from "../../src/grpc/frame.ts";
import { utf8 } from "../../src/base/index.ts";
import {
  frame,
  headerBlock,
  headers,
  RawH2,
  requestFields,
  reset,
  settings,
  unaryRequest,
  windowUpdate,
} from "./raw-h2.ts";

const port = Number(process.argv[2]);

const resets = Buffer.concat(
  Array.from({ length: 2_000 }, (_, i) =>
    Buffer.concat([headers(1 + 2 * i, "/test.Echo/Hang"), reset(1 + 2 * i)]),
  ),
);
const manySettings = Buffer.concat(Array.from({ length: 5_000 }, () => settings()));
const manyUpdates = Buffer.concat(Array.from({ length: 3_000 }, () => windowUpdate(0, 1)));
const bombBytes = [
  ...headerBlock(requestFields("/test.Echo/Unary")),
  ...[0x40, 1, 0x61, 0x7f, 0x81, 0x1e],
  ...new Array<number>(4_000).fill(0x62),
  ...new Array<number>(8_000).fill(0x80 | 62),
];
const bombs = Buffer.concat(
  Array.from({ length: 120 }, (_, i) =>
    frame(frameType.headers, frameFlag.endHeaders, 1 + 2 * i, bombBytes),
  ),
);

async function untilClosed(client: RawH2): Promise<void> {
  await client.end();
}

const attacks: readonly (() => Promise<void>)[] = [
  async () => {
    const client = await RawH2.open(port);
    client.send(resets);
    await untilClosed(client);
  },
  async () => {
    const client = await RawH2.open(port);
    client.send(manySettings);
    await untilClosed(client);
  },
  async () => {
    const client = await RawH2.open(port);
    client.send(manyUpdates);
    await untilClosed(client);
  },
  async () => {
    const client = await RawH2.open(port);
    client.send(bombs);
    await untilClosed(client);
  },
  async () => {
    const client = await RawH2.open(port, [settingId.initialWindowSize, 0]);
    client.send(unaryRequest(1, "Download", utf8("50:100000")));
    await new Promise((resolve) => setTimeout(resolve, 50));
    client.close();
  },
];

let running = true;
process.on("SIGTERM", () => {
  running = false;
});
console.log("attacking");
const rounds = await Promise.all(
  attacks.map(async (attack) => {
    let count = 0;
    while (running) {
      await attack();
      count++;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return count;
  }),
);
console.log(JSON.stringify(rounds));
process.exit(0);
