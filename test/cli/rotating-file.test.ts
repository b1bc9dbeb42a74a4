// The log file that is put aside: names, limits, compression, and a disk that refuses.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { parseRotation, RotatingFile } from "../../src/cli/rotating-file.ts";

const megabyte = 1024 * 1024;
const line = `${"x".repeat(megabyte / 2 - 1)}\n`;

let folder = "";
let nowMs = 0;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "quorate-rotation-"));
  nowMs = Date.parse("2026-11-25T07:10:00.000Z");
});
afterEach(() => rmSync(folder, { recursive: true }));

function open(config: object, name = "log.txt"): RotatingFile {
  const rotation = parseRotation(JSON.stringify({ maxsize: 1, ...config }));
  return new RotatingFile(join(folder, name), rotation, () => new Date(nowMs));
}

/** Fills a file to its limit, a second after the one before. */
function fill(file: RotatingFile, times: number): void {
  for (let i = 0; i < times; i++) {
    file.write(line);
    file.write(line);
    nowMs += 1_000;
  }
}

test("a full file is put aside under its time, and nothing is lost", () => {
  writeFileSync(join(folder, "log.txt"), "from before\n");
  const file = open({});
  file.write(line);
  file.write(line);
  file.write("last\n");
  expect(readdirSync(folder)).toEqual(["log-2026-11-25T07-10-00.000.txt", "log.txt"]);
  const text = ["log-2026-11-25T07-10-00.000.txt", "log.txt"]
    .map((name) => readFileSync(join(folder, name), "utf8"))
    .join("");
  expect(text === `from before\n${line}${line}last\n`).toBe(true);
});

test("backups beyond a number go, the oldest first; other files stay", () => {
  writeFileSync(join(folder, "log-notes.txt"), "mine");
  writeFileSync(join(folder, "other.txt"), "mine");
  fill(open({ maxbackups: 2 }), 5);
  expect(readdirSync(folder)).toEqual([
    "log-2026-11-25T07-10-03.000.txt",
    "log-2026-11-25T07-10-04.000.txt",
    "log-notes.txt",
    "log.txt",
    "other.txt",
  ]);
});

test("backups of another age go", () => {
  const file = open({ maxage: 1 });
  fill(file, 3);
  nowMs += 24 * 3_600_000;
  file.write(line);
  expect(readdirSync(folder)).toEqual(["log-2026-11-26T07-10-03.000.txt", "log.txt"]);
});

test("backups are compressed when so asked", async () => {
  const file = open({ compress: true, maxbackups: 2 }, "log");
  fill(file, 4);
  await file.settled();
  const names = readdirSync(folder);
  expect(names).toEqual([
    "log",
    "log-2026-11-25T07-10-02.000.gz",
    "log-2026-11-25T07-10-03.000.gz",
  ]);
  const whole = gunzipSync(readFileSync(join(folder, names[1] ?? ""))).toString();
  expect(whole === line + line).toBe(true);
});

test("a backup that becomes one too many while it is compressed is gone", async () => {
  const file = open({ compress: true, maxbackups: 1 }, "log");
  fill(file, 2);
  await vi.waitFor(() => expect(readdirSync(folder).join()).toContain(".gz.part"), {
    interval: 1,
  });
  fill(file, 1);
  await file.settled();
  expect(readdirSync(folder)).toEqual(["log", "log-2026-11-25T07-10-02.000.gz"]);
});

test.each([
  ["{", "improperly formatted log rotation config: "],
  ["[]", "invalid log rotation config: not an object"],
  ['{"maxsize": "1"}', 'invalid log rotation config: "maxsize" cannot be "1"'],
  ['{"maxage": -1}', 'invalid log rotation config: "maxage" cannot be -1'],
  ['{"maxsiz": 1}', 'invalid log rotation config: "maxsiz" cannot be 1'],
])("refuses %s", (text, message) => {
  expect(() => parseRotation(text)).toThrow(message);
});

test("the default is a hundred megabytes", () => {
  expect(parseRotation("{}")).toEqual({
    sizeBytesMax: 100 * megabyte,
    ageDaysMax: 0,
    backupsMax: 0,
    localTime: false,
    compress: false,
  });
});
