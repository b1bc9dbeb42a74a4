// Style and structure as a test: who imports whom, what the deterministic zone may say, sizes,
// headers, leftovers. Every check reports breaches as "path: what", and the last one makes sure
// that files were read at all.

import { existsSync, readdirSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import {
  controlFolders,
  deterministicZone,
  impure,
  type Layer,
  layers,
  typeDoors,
} from "./tidy/layers.ts";
import { blank, functionSpans, importsOf, readSources, type SourceFile } from "./tidy/source.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const linesPerFileMax = 500;
const linesPerFunctionMax = 70;
const columnsMax = 100;

const src = readSources(root, "src", [".ts", ".cts"]);
const others = ["test", "bench", "scripts", "cluster", "examples"]
  .filter((folder) => existsSync(join(root, folder)))
  .flatMap((folder) => readSources(root, folder, [".ts", ".js"]));
const docs = readSources(root, "docs", [".md"]);
const handWritten = [...src, ...others].filter((file) => !file.path.includes("/generated/"));

function folderOf(file: SourceFile): string {
  return file.path.split("/")[1] ?? "";
}

/** What is wrong with `file` importing `specifier`, or undefined. */
function importBreach(
  file: SourceFile,
  layer: Layer,
  specifier: string,
  typeOnly: boolean,
): string | undefined {
  if (!specifier.startsWith(".")) {
    const name = specifier.startsWith("node:")
      ? "node"
      : specifier
          .split("/")
          .slice(0, specifier.startsWith("@") ? 2 : 1)
          .join("/");
    return layer.packages.includes(name) ? undefined : `package ${specifier}`;
  }
  const target = normalize(join(dirname(file.path), specifier))
    .split("\\")
    .join("/");
  const [top, folder = "", ...rest] = target.split("/");
  if (top !== "src") {
    return `${specifier} leaves src`;
  }
  if (folder === folderOf(file)) {
    return undefined;
  }
  const inside = `${folder}/${rest.join("/")}`;
  const below = layers[folder];
  if (typeDoors.includes(inside) && below !== undefined && below.level <= layer.level) {
    return typeOnly ? undefined : `${specifier} is a door for types only`;
  }
  const allowed = file.path.startsWith("src/cli/ctl/") ? controlFolders : layer.folders;
  if (!allowed.includes(folder)) {
    return `${specifier} points up or sideways`;
  }
  return rest.join("/") === "index.ts" ? undefined : `${specifier} passes by ${folder}/index.ts`;
}

describe("layers", () => {
  it("has a row for every folder of src", () => {
    const folders = readdirSync(join(root, "src"), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
    expect(folders.filter((name) => layers[name] === undefined)).toEqual([]);
  });

  it("lets imports point down only, through a door", () => {
    const breaches: string[] = [];
    let imports = 0;
    for (const file of src) {
      const layer = layers[folderOf(file)];
      if (layer === undefined) {
        continue;
      }
      for (const { specifier, typeOnly } of importsOf(file.text)) {
        imports++;
        const breach = importBreach(file, layer, specifier, typeOnly);
        if (breach !== undefined) {
          breaches.push(`${file.path}: ${breach}`);
        }
      }
    }
    expect(breaches).toEqual([]);
    expect(imports).toBeGreaterThan(20);
  });

  it("keeps the deterministic zone pure", () => {
    const breaches: string[] = [];
    let files = 0;
    for (const file of src) {
      if (!deterministicZone.includes(folderOf(file))) {
        continue;
      }
      files++;
      for (const [pattern, name] of impure) {
        if (pattern.test(file.code)) {
          breaches.push(`${file.path}: ${name}`);
        }
      }
    }
    expect(breaches).toEqual([]);
    expect(files).toBeGreaterThan(10);
  });

  it("lets only the command line read process arguments and environment, or exit", () => {
    const pattern = /\bprocess\s*\.\s*(?:argv|env|exit)\b/;
    const breaches = src.filter((file) => folderOf(file) !== "cli" && pattern.test(file.code));
    expect(breaches.map((file) => file.path)).toEqual([]);
  });
});

describe("size", () => {
  it(`keeps files within ${linesPerFileMax} lines of ${columnsMax} columns`, () => {
    const breaches: string[] = [];
    for (const file of handWritten) {
      const lines = file.text.split("\n");
      if (lines.length - 1 > linesPerFileMax) {
        breaches.push(`${file.path}: ${lines.length - 1} lines`);
      }
      lines.forEach((line, index) => {
        if (line.length > columnsMax && !/https?:\/\/|import|"[^"]{60,}"|`/.test(line)) {
          breaches.push(`${file.path}:${index + 1}: ${line.length} columns`);
        }
      });
    }
    expect(breaches).toEqual([]);
  });

  it(`keeps functions within ${linesPerFunctionMax} lines`, () => {
    const breaches: string[] = [];
    let functions = 0;
    for (const file of handWritten.filter(({ path }) => path.startsWith("src/"))) {
      for (const span of functionSpans(file.code)) {
        functions++;
        if (span.lines > linesPerFunctionMax) {
          breaches.push(`${file.path}:${span.line}: a function of ${span.lines} lines`);
        }
      }
    }
    expect(breaches).toEqual([]);
    expect(functions).toBeGreaterThan(40);
  });
});

describe("text", () => {
  it("opens every folder of src with its chapter", () => {
    const breaches: string[] = [];
    for (const folder of Object.keys(layers)) {
      const files = src.filter((file) => folderOf(file) === folder);
      const index = files.find((file) => file.path === `src/${folder}/index.ts`);
      const onlyDoors = files.every((file) => typeDoors.includes(file.path.slice(4)));
      if (index === undefined ? !onlyDoors : !/^\/\/ .+\n\/\/.*\n\/\/ /.test(index.text)) {
        breaches.push(`src/${folder}/index.ts`);
      }
    }
    expect(breaches).toEqual([]);
  });

  it("holds no leftovers", () => {
    const rules: readonly (readonly [RegExp, string])[] = [
      [/\b(?:TODO|FIXME|XXX|HACK)\b/, "unfinished work"],
      [
        /^[ \t]*\/\/ {0,2}(?:const|let|import|export|return|await|throw|if \(|for \().*[;{]$/m,
        "dead code",
      ],
      [/^[ \t]*\/\/ {0,2}(?:[\w.#]+\(.*\)|[\w.#]+ [-+]?= .*);$/m, "dead code"],
      [
        /\b(?:oxlint|eslint|biome)-(?:disable|ignore)\b(?!.*--)/,
        "a silenced rule without a reason",
      ],
      [/@ts-(?:ignore|nocheck)\b/, "a silenced type error"],
      [/\b(?:obviously|basically|as an AI)\b/i, "an empty word"],
      [/\/work\/(?:main|shared)\b/, "a path of one machine"],
    ];
    const breaches: string[] = [];
    for (const file of [...handWritten, ...docs]) {
      if (file.path === "test/tidy.test.ts") {
        continue;
      }
      for (const [pattern, name] of rules) {
        if (pattern.test(file.text)) {
          breaches.push(`${file.path}: ${name}`);
        }
      }
    }
    expect(breaches).toEqual([]);
  });

  it("skips no test", () => {
    const skip = /\b(?:it|test|describe|bench)\s*\.\s*(?:skip|only|todo|fails)\b/;
    // Only where the other program may not be installed; with CI=true it must be.
    const besideEtcd = /^test\/(?:conformance|etcd-snapshot|terminal|cli\/ctl)\//;
    const conditional = /\b(?:it|test|describe)\s*\.\s*(?:skipIf|runIf)\b/;
    const breaches = others.filter(
      ({ code, path }) => skip.test(code) || (conditional.test(code) && !besideEtcd.test(path)),
    );
    expect(breaches.map((file) => file.path)).toEqual([]);
  });

  it("names files in kebab case and never for what they are not", () => {
    const breaches = handWritten.filter(({ path }) => {
      const name = path.split("/").at(-1) ?? "";
      return (
        !/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z]+)+$/.test(name) || /^(?:utils?|misc)\./.test(name)
      );
    });
    expect(breaches.map((file) => file.path)).toEqual([]);
  });
});

describe("the checks themselves", () => {
  it("read enough files", () => {
    console.info(
      `tidy read ${src.length} files of src, ${others.length} beside it, ${docs.length} of docs`,
    );
    expect(src.length).toBeGreaterThan(20);
    expect(others.length).toBeGreaterThan(2);
  });

  it("see imports in every form", () => {
    const text = [
      'import { a } from "../a/index.ts";',
      'import type {\n  B,\n} from "../b/index.ts";',
      'export * from "../c/index.ts";',
      'export type * from "../d/index.ts";',
      'import "../e/index.ts";',
      'const f = await import("../f/index.ts");',
    ].join("\n");
    expect(importsOf(text).map((one) => `${one.specifier} ${one.typeOnly}`)).toEqual([
      "../a/index.ts false",
      "../b/index.ts true",
      "../c/index.ts false",
      "../d/index.ts true",
      "../e/index.ts false",
      "../f/index.ts false",
    ]);
  });

  it("refuse a breach of each kind", () => {
    const file = (path: string): SourceFile => ({ path, text: "", code: "" });
    const breach = (path: string, specifier: string, typeOnly = false): string | undefined =>
      importBreach(file(path), layers[path.split("/")[1] ?? ""] as Layer, specifier, typeOnly);
    expect(breach("src/raft/log.ts", "../storage/index.ts", true)).toContain("points up");
    expect(breach("src/raft/log.ts", "node:fs")).toContain("package node:fs");
    expect(breach("src/mvcc/a.ts", "../storage/engine.ts")).toContain("types only");
    expect(breach("src/mvcc/a.ts", "../storage/engine.ts", true)).toBeUndefined();
    expect(breach("src/raft/log.ts", "../mvcc/contract.ts", true)).toContain("points up");
    expect(breach("src/node/a.ts", "../raft/log.ts")).toContain("passes by");
    expect(breach("src/api/a.ts", "../node/index.ts")).toContain("points up");
    expect(breach("src/api/a.ts", "../node/handle.ts", true)).toBeUndefined();
    expect(breach("src/cli/ctl/get.ts", "../../node/index.ts")).toContain("points up");
  });

  it("look at code, not at comments and strings", () => {
    const code = blank('const a = "await"; // Date\n/* process.env */ const b = /`"/; b.await');
    expect(code).not.toContain("Date");
    expect(code).not.toContain("process");
    expect(code.match(/await/g)).toHaveLength(1);
  });

  it("measure functions", () => {
    const body = "    x();\n".repeat(70);
    const text = `class A {\n  long(\n    a: B,\n  ): void {\n${body}  }\n  short(): void {\n  }\n}\n`;
    expect(functionSpans(text).map((span) => span.lines)).toEqual([74, 2]);
  });
});
