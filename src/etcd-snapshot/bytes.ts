// Where a file's bytes come from and go to.

export interface ByteSource {
  readonly sizeBytes: number;
  /** `length` bytes from `position`; the caller stays within the size. */
  read(position: number, length: number): Promise<Uint8Array>;
}

export interface ByteSink {
  write(position: number, bytes: Uint8Array): Promise<void>;
}

/** `source`, telling of each read how many bytes have been read in all. */
export function countingReads(source: ByteSource, onRead: (bytes: number) => void): ByteSource {
  let bytes = 0;
  return {
    sizeBytes: source.sizeBytes,
    async read(position, length) {
      const found = await source.read(position, length);
      bytes += found.length;
      onRead(bytes);
      return found;
    },
  };
}
