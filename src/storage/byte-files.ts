// Whole files outside of log and engine: one that is being read, and one that is written and read
// again while it is needed and then forgotten.

import { randomUUID } from "node:crypto";
import { open, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { StorageError } from "../base/index.ts";
import { fileMode, storageFailure } from "./durable-files.ts";

export interface ReadableFile {
  readonly sizeBytes: number;
  /** Exactly `length` bytes from `position`. */
  read(position: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

export interface ScratchFile extends ReadableFile {
  write(position: number, bytes: Uint8Array): Promise<void>;
  /** Closes and removes it. */
  close(): Promise<void>;
}

/** Opens a file for reading. Throws StorageError. */
export async function openFile(path: string): Promise<ReadableFile> {
  try {
    const handle = await open(path, "r");
    const { size } = await handle.stat();
    return new OpenFile(path, handle, size);
  } catch (error) {
    throw storageFailure(`opening ${path}`, error);
  }
}

/** Makes an empty file in `directory`; one that a crash leaves behind goes at the next start. */
export async function createScratchFile(directory: string): Promise<ScratchFile> {
  const path = join(directory, `scratch-${randomUUID()}.tmp`);
  try {
    const handle = await open(path, "wx+", fileMode);
    return new OpenScratchFile(path, handle, 0);
  } catch (error) {
    throw storageFailure(`making ${path}`, error);
  }
}

class OpenFile implements ReadableFile {
  protected readonly path: string;
  protected readonly handle: FileHandle;
  protected size: number;

  constructor(path: string, handle: FileHandle, sizeBytes: number) {
    this.path = path;
    this.handle = handle;
    this.size = sizeBytes;
  }

  get sizeBytes(): number {
    return this.size;
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const { bytesRead } = await this.handle.read(bytes, done, length - done, position + done);
      if (bytesRead === 0) {
        throw new StorageError(`${this.path} ended at ${position + done} while it was read`);
      }
      done += bytesRead;
    }
    return bytes;
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

class OpenScratchFile extends OpenFile implements ScratchFile {
  async write(position: number, bytes: Uint8Array): Promise<void> {
    try {
      let done = 0;
      while (done < bytes.length) {
        const at = position + done;
        const { bytesWritten } = await this.handle.write(bytes, done, bytes.length - done, at);
        done += bytesWritten;
      }
    } catch (error) {
      throw storageFailure(`writing ${this.path}`, error);
    }
    this.size = Math.max(this.size, position + bytes.length);
  }

  override async close(): Promise<void> {
    await super.close();
    await rm(this.path, { force: true });
  }
}
