// The form of the log: etcd's keys in JSON, one readable line on a terminal.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ConfigError, createLogger } from "../../src/cli/index.ts";
import { consoleLine } from "../../src/cli/logger.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "quorate-log-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it("writes JSON with etcd's keys, from the level upwards, to every output", () => {
  const outputs = [join(folder, "a.log"), join(folder, "b.log")];
  const logger = createLogger(
    { level: "info", format: "json", outputs, rotation: undefined },
    false,
  );
  logger.debug({}, "not this");
  logger.warn({ "member-id": "8e9e05c52164694d", count: 3 }, "this");
  const [text, same] = outputs.map((path) => readFileSync(path, "utf8"));
  expect(same).toBe(text);
  const lines = (text ?? "").trimEnd().split("\n");
  expect(lines).toHaveLength(1);
  const line = JSON.parse(lines[0] ?? "") as Record<string, unknown>;
  expect(Object.keys(line)).toEqual(["level", "ts", "member-id", "count", "msg"]);
  expect(line).toMatchObject({ level: "warn", "member-id": "8e9e05c52164694d", msg: "this" });
  expect(line["ts"]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

it("writes a line a person can read", () => {
  const line = JSON.stringify({
    level: "warn",
    ts: "2026-01-02T03:04:05.678Z",
    name: "a",
    path: "x y",
    list: [1],
    msg: "hello there",
  });
  expect(consoleLine(line, false)).toBe(
    '03:04:05.678 WARN  hello there name=a path="x y" list=[1]\n',
  );
  expect(consoleLine(line, true)).toContain("\u001b[33mWARN ");
});

it("refuses an output that cannot be opened", () => {
  const outputs = [join(folder, "none", "a.log")];
  expect(() =>
    createLogger({ level: "info", format: "json", outputs, rotation: undefined }, false),
  ).toThrow(ConfigError);
});
