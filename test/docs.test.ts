// What the documents point at is there: files, folders, npm scripts; and the changelog's shape.

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { readSources } from "./tidy/source.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const pages = [
  ...["README.md", "CHANGELOG.md"].map((path) => ({
    path,
    text: readFileSync(join(root, path), "utf8"),
  })),
  ...readSources(root, "docs", [".md"]),
];

describe("documents", () => {
  it("were read", () => {
    expect(pages.length).toBeGreaterThan(10);
  });

  it("link to what exists", () => {
    const broken: string[] = [];
    for (const page of pages) {
      for (const [, target = ""] of page.text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
        if (!/^https?:/.test(target) && !existsSync(join(root, dirname(page.path), target))) {
          broken.push(`${page.path}: ${target}`);
        }
      }
    }
    expect(broken).toEqual([]);
  });

  it("name files that exist", () => {
    const broken: string[] = [];
    let names = 0;
    for (const page of pages) {
      const path = /`((?:src|test|cluster|scripts|bench|docs|proto|\.ci)\/[\w./-]+)`/g;
      for (const [, name = ""] of page.text.matchAll(path)) {
        names++;
        if (!existsSync(join(root, name))) {
          broken.push(`${page.path}: ${name}`);
        }
      }
    }
    expect(broken).toEqual([]);
    expect(names).toBeGreaterThan(20);
  });

  it("call npm scripts that exist", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      readonly scripts: Readonly<Record<string, string>>;
    };
    const called = pages.flatMap((page) => [
      ...[...page.text.matchAll(/\bnpm run ([\w:]+)/g)].map((match) => match[1] ?? ""),
      ...[...page.text.matchAll(/\bnpm (start|test)\b/g)].map((match) => match[1] ?? ""),
    ]);
    expect(called.filter((name) => scripts[name] === undefined)).toEqual([]);
    expect(called.length).toBeGreaterThan(4);
  });
});

describe("CHANGELOG.md", () => {
  it("has versions, and in each the four sections at most once, in order", () => {
    const allowed = ["Safety", "Features", "Performance", "Internals"];
    const versions = (pages.find(({ path }) => path === "CHANGELOG.md")?.text ?? "")
      .split(/^## /m)
      .slice(1);
    expect(versions.length).toBeGreaterThan(0);
    for (const version of versions) {
      expect(version).toMatch(/^\d+\.\d+\.\d+ \((?:unreleased|\d{4}-\d\d-\d\d)\)\n/);
      const sections = [...version.matchAll(/^### (.*)$/gm)].map((match) => match[1] ?? "");
      expect(sections).toEqual(allowed.filter((name) => sections.includes(name)));
    }
  });
});
