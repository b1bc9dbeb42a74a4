// Segment files: their names, their making ahead of time, their reading.
//
// A segment is made under a temporary name, filled with zeros, synced, and only then renamed to
// its number: a segment that has its name has all its extents on disk, so that a write into it is
// one write of data and no journal of the file system. Filling goes in synchronous pieces: it
// leaves the log's own writes at 0.7 ms (99th percentile) where one large fsync held them 16 ms.

import { constants, close, open, write } from "node:fs";
import { open as openHandle, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { fileMode, listDirectory, syncDirectory } from "./durable-files.ts";

const openFile = promisify(open);
const closeFile = promisify(close);

export const segmentSizeBytesDefault = 64 * 1024 * 1024;
const fillPieceBytes = 1024 * 1024;
const readPieceBytes = 256 * 1024;
const zeroPiece: Buffer = Buffer.alloc(readPieceBytes);
const namePattern = /^([0-9a-f]{16})\.wal$/;
const temporarySuffix = ".tmp";

export function segmentPath(directory: string, sequence: number): string {
  return join(directory, `${sequence.toString(16).padStart(16, "0")}.wal`);
}

/** Numbers of the segments in `directory`, ascending. */
export async function listSegments(directory: string): Promise<number[]> {
  const sequences: number[] = [];
  for (const entry of (await listDirectory(directory)) ?? []) {
    const match = namePattern.exec(entry.name);
    if (match?.[1] !== undefined) {
      sequences.push(Number.parseInt(match[1], 16));
    }
  }
  return sequences.sort((a, b) => a - b);
}

/** Removes what a crash left of segments that were being made. */
export async function removeUnfinishedSegments(directory: string): Promise<void> {
  for (const entry of (await listDirectory(directory)) ?? []) {
    if (entry.name.endsWith(temporarySuffix)) {
      await rm(join(directory, entry.name), { force: true });
    }
  }
}

/**
 * The whole file, in memory of its own that starts on a word boundary. What is zero in the file,
 * most of a segment as a rule, takes no memory: it is not written to what came zeroed.
 */
export async function readSegment(path: string): Promise<Uint8Array> {
  const file = await openHandle(path, constants.O_RDONLY);
  try {
    const { size } = await file.stat();
    const bytes = new Uint8Array(size);
    const piece = Buffer.alloc(readPieceBytes);
    for (let at = 0; at < size; ) {
      const { bytesRead } = await file.read(piece, 0, Math.min(piece.length, size - at), at);
      if (bytesRead === 0) {
        return bytes.slice(0, at);
      }
      const read = piece.subarray(0, bytesRead);
      if (!read.equals(zeroPiece.subarray(0, bytesRead))) {
        bytes.set(read, at);
      }
      at += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}

/** Makes an unused segment of `sizeBytes` zeros, durably. */
export async function prepareSegment(
  directory: string,
  sequence: number,
  sizeBytes: number,
): Promise<void> {
  const path = segmentPath(directory, sequence);
  const temporary = `${path}${temporarySuffix}`;
  await rm(temporary, { force: true });
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_DSYNC;
  const file = await openFile(temporary, flags, fileMode);
  try {
    const zeros = new Uint8Array(Math.min(fillPieceBytes, sizeBytes));
    for (let offset = 0; offset < sizeBytes; offset += zeros.length) {
      await writeFully(file, zeros.subarray(0, sizeBytes - offset), offset);
    }
  } finally {
    await closeFile(file);
  }
  await rename(temporary, path);
  await syncDirectory(directory);
}

/** Opens a segment so that each write is durable when it returns. */
export function openSegment(path: string): Promise<number> {
  return openFile(path, constants.O_WRONLY | constants.O_DSYNC);
}

export function closeSegment(file: number): Promise<void> {
  return closeFile(file);
}

/** A positioned write; going on after a short write is not a retry, nothing has failed. */
export function writeFully(file: number, bytes: Uint8Array, offset: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const writeRest = (from: number): void => {
      write(file, bytes, from, bytes.length - from, offset + from, (error, written) => {
        if (error !== null) {
          reject(error);
        } else if (from + written === bytes.length) {
          resolve();
        } else if (written === 0) {
          reject(new Error("the disk took no bytes"));
        } else {
          writeRest(from + written);
        }
      });
    };
    writeRest(0);
  });
}
