// Damage that no checksum shows: a member whose store has gone its own way.

import { openDataDirectory } from "../../src/storage/index.ts";

/** Changes a value in a stopped member's history, with checksums that are right. */
export async function tamper(
  dataDirectory: string,
  find: string,
  replace: string,
): Promise<number> {
  const disk = await openDataDirectory(dataDirectory);
  let changed = 0;
  try {
    const blocks = { from: Uint8Array.of(0x68), to: Uint8Array.of(0x69) };
    for await (const rows of disk.engine.scan(blocks)) {
      for (const [key, value] of rows) {
        const bytes = Buffer.from(value);
        const at = bytes.indexOf(find);
        if (at >= 0) {
          bytes.write(replace, at);
          await disk.engine.write([{ kind: "put", key, value: bytes }], { sync: true });
          changed++;
        }
      }
    }
  } finally {
    await disk.close();
  }
  return changed;
}
