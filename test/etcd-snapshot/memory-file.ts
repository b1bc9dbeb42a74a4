// A file in memory.

import type { ByteSink, ByteSource } from "../../src/etcd-snapshot/index.ts";

export class MemoryFile implements ByteSink, ByteSource {
  bytes = new Uint8Array(0);

  get sizeBytes(): number {
    return this.bytes.length;
  }

  write(position: number, bytes: Uint8Array): Promise<void> {
    const end = position + bytes.length;
    if (end > this.bytes.length) {
      const larger = new Uint8Array(end);
      larger.set(this.bytes);
      this.bytes = larger;
    }
    this.bytes.set(bytes, position);
    return Promise.resolve();
  }

  read(position: number, length: number): Promise<Uint8Array> {
    return Promise.resolve(this.bytes.slice(position, position + length));
  }
}
