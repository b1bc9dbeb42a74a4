// Where a file's bytes come from and go to.

export interface ByteSource {
  readonly sizeBytes: number;
  /** `length` bytes from `position`; the caller stays within the size. */
  read(position: number, length: number): Promise<Uint8Array>;
}

export interface ByteSink {
  write(position: number, bytes: Uint8Array): Promise<void>;
}
