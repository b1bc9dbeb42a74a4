// Files that quoratectl keeps and somebody has altered: refused with what to do, never a stack.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readContexts } from "../../../src/cli/ctl/contexts.ts";
import { readMirrorState } from "../../../src/cli/ctl/mirror-state.ts";
import { parseInitialCluster } from "../../../src/cli/initial-cluster.ts";

const directory = mkdtempSync(join(tmpdir(), "quorate-kept-"));
afterAll(() => rmSync(directory, { recursive: true }));

function file(content: unknown): string {
  const path = join(directory, "file.json");
  writeFileSync(path, JSON.stringify(content));
  return path;
}

test.each([null, 7, [], "text", { format: 1 }])("contexts are refused: %j", async (content) => {
  await expect(readContexts(file(content))).rejects.toThrow("cannot be used");
});

test.each([{ copyFrom: 12 }, { copyFrom: undefined }, { copyFrom: "2f7" }, { revision: -1 }])(
  "a mirror's checkpoint is refused: %j",
  async (change) => {
    const identity = { source: "a", destination: "b", prefix: "", destinationPrefix: "" };
    const path = file({ format: 1, ...identity, revision: 7, copyFrom: "2f70", ...change });
    await expect(readMirrorState(path, identity)).rejects.toThrow("is not a mirror's checkpoint");
  },
);

test("an address with a character that none has is refused", () => {
  expect(() => parseInitialCluster("a=http://h\u0000:1")).toThrow("invalid character in URL");
});
