// Writes numbered batches until it is killed; prints the number of each batch that is written.

import { utf8, writeU32 } from "../../src/base/index.ts";
import { createLevelEngine } from "../../src/storage/index.ts";

const engine = await createLevelEngine(process.argv[2] ?? "");
for (let n = 1; ; n++) {
  const value = new Uint8Array(5);
  writeU32(value, 1, n);
  await engine.write([{ kind: "put", key: utf8("count"), value }], { sync: false });
  process.stdout.write(`${n}\n`);
}
