// --enable-log-rotation: a log file that is put aside when it grows too large, by the rules of the
// package that etcd uses (lumberjack): log.txt becomes log-2026-11-25T07-10-00.000.txt, backups
// beyond a number or an age are removed, and older ones compressed if so asked.
//
// Lines are written at once. A log that cannot be written does not end the server: the line is
// lost, and standard error is told once.

import {
  closeSync,
  createReadStream,
  createWriteStream,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { ConfigError } from "./config-error.ts";

const bytesPerMegabyte = 1024 * 1024;
const msPerDay = 24 * 60 * 60 * 1000;
const sizeMegabytesDefault = 100;
const fileMode = 0o600;

export interface LogRotation {
  readonly sizeBytesMax: number;
  /** 0 for any age. */
  readonly ageDaysMax: number;
  /** 0 for any number. */
  readonly backupsMax: number;
  /** The times in names are those of this machine's zone, not UTC. */
  readonly localTime: boolean;
  readonly compress: boolean;
}

const kinds = {
  maxsize: "number",
  maxage: "number",
  maxbackups: "number",
  localtime: "boolean",
  compress: "boolean",
} as const;

/** Reads --log-rotation-config-json. Throws ConfigError. */
export function parseRotation(text: string): LogRotation {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (error) {
    throw new ConfigError(`improperly formatted log rotation config: ${(error as Error).message}`);
  }
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new ConfigError("invalid log rotation config: not an object");
  }
  const fields = given as Record<string, unknown>;
  for (const [name, value] of Object.entries(fields)) {
    const kind = kinds[name as keyof typeof kinds];
    const isCount = kind !== "number" || (Number.isSafeInteger(value) && Number(value) >= 0);
    if (kind === undefined || typeof value !== kind || !isCount) {
      throw new ConfigError(
        `invalid log rotation config: ${JSON.stringify(name)} cannot be ${JSON.stringify(value)}`,
      );
    }
  }
  const count = (name: string): number => Number(fields[name] ?? 0);
  return {
    sizeBytesMax: (count("maxsize") || sizeMegabytesDefault) * bytesPerMegabyte,
    ageDaysMax: count("maxage"),
    backupsMax: count("maxbackups"),
    localTime: fields["localtime"] === true,
    compress: fields["compress"] === true,
  };
}

export class RotatingFile {
  readonly #path: string;
  readonly #rotation: LogRotation;
  readonly #now: () => Date;
  #file: number;
  #sizeBytes: number;
  #hasFailed = false;
  /** Backups being compressed. */
  #compressing: Promise<void> = Promise.resolve();

  /** Throws the system's error when the file cannot be opened. */
  constructor(path: string, rotation: LogRotation, now: () => Date = () => new Date()) {
    this.#path = path;
    this.#rotation = rotation;
    this.#now = now;
    this.#file = openSync(path, "a", fileMode);
    this.#sizeBytes = fstatSync(this.#file).size;
  }

  write(line: string): void {
    try {
      const bytes = Buffer.from(line);
      if (this.#sizeBytes > 0 && this.#sizeBytes + bytes.length > this.#rotation.sizeBytesMax) {
        this.#rotate();
      }
      writeSync(this.#file, bytes);
      this.#sizeBytes += bytes.length;
    } catch (error) {
      if (!this.#hasFailed) {
        this.#hasFailed = true;
        process.stderr.write(`quorate: cannot write ${this.#path}: ${(error as Error).message}\n`);
      }
    }
  }

  /** Resolves when nothing is being compressed. */
  settled(): Promise<void> {
    return this.#compressing;
  }

  #rotate(): void {
    const now = this.#now();
    renameSync(this.#path, this.#backupPath(now));
    const next = openSync(this.#path, "a", fileMode);
    closeSync(this.#file);
    this.#file = next;
    this.#sizeBytes = 0;
    this.#prune(now);
  }

  #backupPath(now: Date): string {
    const shift = this.#rotation.localTime ? now.getTimezoneOffset() * 60_000 : 0;
    const stamp = new Date(now.getTime() - shift).toISOString().slice(0, -1).replaceAll(":", "-");
    const extension = extname(this.#path);
    const stem = this.#path.slice(0, this.#path.length - extension.length);
    return `${stem}-${stamp}${extension}`;
  }

  #prune(now: Date): void {
    const { backupsMax, ageDaysMax, compress } = this.#rotation;
    const kept: string[] = [];
    // Names carry their times, so that the newest come last.
    for (const name of this.#backups().reverse()) {
      const isTooOld = ageDaysMax > 0 && now.getTime() - this.#timeOf(name) > ageDaysMax * msPerDay;
      if (isTooOld || (backupsMax > 0 && kept.length >= backupsMax)) {
        rmSync(join(dirname(this.#path), name), { force: true });
      } else {
        kept.push(name);
      }
    }
    if (compress) {
      const paths = kept
        .filter((name) => !name.endsWith(".gz"))
        .map((name) => join(dirname(this.#path), name));
      this.#compressing = this.#compressing.then(() => compressAll(paths));
    }
  }

  #backups(): string[] {
    const extension = extname(this.#path);
    const stem = `${basename(this.#path, extension)}-`;
    return readdirSync(dirname(this.#path))
      .filter((name) => name.startsWith(stem) && Number.isFinite(this.#timeOf(name)))
      .sort();
  }

  /** When the file of this name was put aside; NaN for a name that is not a backup's. */
  #timeOf(name: string): number {
    const extension = extname(this.#path);
    const stem = `${basename(this.#path, extension)}-`;
    const match = /^(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d\.\d{3})(.*)$/.exec(
      name.slice(stem.length),
    );
    const [, day, hour, minute, second, rest] = match ?? [];
    const isWhole = rest === extension || rest === `${extension}.gz`;
    const zone = this.#rotation.localTime ? "" : "Z";
    return isWhole ? Date.parse(`${day}T${hour}:${minute}:${second}${zone}`) : Number.NaN;
  }
}

/** One after the other; what fails stays as it is. */
async function compressAll(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const partial = `${path}.gz.part`;
    try {
      const out = createWriteStream(partial, { mode: fileMode });
      await pipeline(createReadStream(path), createGzip(), out);
      if (existsSync(path)) {
        renameSync(partial, `${path}.gz`);
        rmSync(path);
      } else {
        // It has become one too many meanwhile, and so has its copy.
        rmSync(partial);
      }
    } catch {
      rmSync(partial, { force: true });
    }
  }
}
