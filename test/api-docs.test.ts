// The reference of the package, as it is made from the docstrings.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readDeclarations } from "../scripts/api-docs/declarations.ts";
import { errorTable } from "../src/base/index.ts";

describe("declarations", () => {
  const { declarations, exports } = readDeclarations(`
import type { A } from "./a.ts";
export { b, type C as D } from "./c.ts";
export type * from "./d.ts";
/** One line. */
export declare class Store<T = {
    a: string;
}> extends Base implements A {
    #private;
    /**
     * Two
     * lines.
     */
    get(key: string, options?: {
        readonly at: "{" | ";";
    }): Promise<T>;
    readonly size: number;
}
export type Union = {
    readonly kind: "a";
} | {
    readonly kind: "b";
};
interface Hidden {
}
export declare const value: number;
`);

  it("are read with their docstrings and members", () => {
    expect(declarations.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      "class Store",
      "type Union",
      "interface Hidden",
      "const value",
    ]);
    const [store, union] = declarations;
    expect(store?.doc).toBe("One line.");
    expect(store?.members.map(({ doc }) => doc)).toEqual(["Two\nlines.", ""]);
    expect(store?.members[0]?.signature).toMatch(/^get\(key[^]*\}\): Promise<T>;$/);
    expect(union?.signature).toMatch(/"b";\n\};$/);
  });

  it("know what is exported", () => {
    const names = exports.map((each) => (each.kind === "all" ? each.from : each.exportedAs));
    expect(names).toEqual(["./d.ts", "b", "D", "Store", "Union", "value"]);
  });
});

describe("the pages", () => {
  const folder = mkdtempSync(join(tmpdir(), "quorate-api-"));
  beforeAll(() => {
    const root = fileURLToPath(new URL("..", import.meta.url));
    const args = ["tsx", "scripts/generate-api-docs.ts", `--out=${folder}`];
    execFileSync("npx", args, { cwd: root });
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("are there for every entry point", () => {
    expect(readdirSync(folder)).toEqual(
      expect.arrayContaining(["quorate.md", "quorate-client.md", "quorate-server.md"]),
    );
  });

  it("say what the store does, and all that it fails with", () => {
    const page = readFileSync(join(folder, "quorate.md"), "utf8");
    expect(page).toContain("### Quorate\n\n```ts\nclass Quorate<Out = string, In = Out>");
    expect(page).toContain("Puts a key that is not there yet. Rejects with KeyExistsError");
    const rows = Object.values(errorTable).filter(({ text }) => page.includes(`| \`${text}\` |`));
    expect(rows.length).toBe(Object.keys(errorTable).length - 1);
  });
});
