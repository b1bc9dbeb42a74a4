// The 5-byte prefix and the bytes of gRPC messages, cut over DATA frames anywhere, put together.
//
// A message that lies whole in one piece is handed on as a view of it; only cut ones are copied.

import { grpcStatus } from "../base/index.ts";
import { RpcError } from "./contract.ts";

const prefixBytes = 5;
/** Largest buffer made on the word of a prefix; more is made as the bytes come in. */
const trustedBytesMax = 256 * 1024;

/** A compressed message: refused, with word of what is understood instead. */
export class CompressionError extends RpcError {
  override name = "CompressionError";
}

/** What is allowed, and where messages go. */
export interface MessageSink {
  readonly messageBytesMax: number;
  /** grpc-encoding of the request. */
  readonly encoding: string;
  /** A message has begun of which `missing` bytes are still to come. */
  messageBegun(missing: number): void;
  /** A message that was cut is complete. */
  messageComplete(): void;
  /** Any complete message; false stops reading. */
  takeMessage(message: Uint8Array): boolean;
}

export class MessageAssembler {
  readonly #sink: MessageSink;
  readonly #prefix = new Uint8Array(prefixBytes);
  #prefixLength = 0;
  #message: Uint8Array | undefined;
  #length = 0;
  #filled = 0;

  constructor(sink: MessageSink) {
    this.#sink = sink;
  }

  /** Bytes held of an incomplete message. */
  get heldBytes(): number {
    return this.#filled + this.#prefixLength;
  }

  /** Reads a piece; throws RpcError for what the limits or the protocol forbid. */
  receive(bytes: Uint8Array, start: number, end: number): void {
    let position = start;
    while (position < end) {
      if (this.#message !== undefined) {
        position = this.#fill(bytes, position, end);
        if (this.#filled === this.#length && !this.#complete()) {
          return;
        }
        continue;
      }
      while (this.#prefixLength < prefixBytes && position < end) {
        this.#prefix[this.#prefixLength++] = bytes[position++]!;
      }
      if (this.#prefixLength < prefixBytes) {
        return;
      }
      this.#prefixLength = 0;
      const length = messageLength(this.#prefix, 0, this.#sink);
      if (length <= end - position) {
        position += length;
        if (!this.#sink.takeMessage(viewOf(bytes, position - length, position))) {
          return;
        }
        continue;
      }
      this.#message = Buffer.allocUnsafeSlow(Math.min(length, trustedBytesMax));
      this.#length = length;
      this.#filled = 0;
      position = this.#fill(bytes, position, end);
      this.#sink.messageBegun(length - this.#filled);
    }
  }

  #fill(bytes: Uint8Array, position: number, end: number): number {
    const taken = Math.min(end - position, this.#length - this.#filled);
    let message = this.#message!;
    if (this.#filled + taken > message.length) {
      const size = Math.min(this.#length, Math.max(message.length * 2, this.#filled + taken));
      const larger = Buffer.allocUnsafeSlow(size);
      larger.set(message.subarray(0, this.#filled));
      message = larger;
      this.#message = larger;
    }
    message.set(bytes.subarray(position, position + taken), this.#filled);
    this.#filled += taken;
    return position + taken;
  }

  #complete(): boolean {
    const message = this.#message!;
    this.#message = undefined;
    this.#filled = 0;
    this.#sink.messageComplete();
    return this.#sink.takeMessage(message);
  }
}

/**
 * Hands on the whole messages at the beginning of a piece. Returns where the first incomplete one
 * starts, or `end`, also when the sink takes no more.
 */
export function takeWholeMessages(
  bytes: Uint8Array,
  start: number,
  end: number,
  sink: MessageSink,
): number {
  let position = start;
  while (end - position >= prefixBytes) {
    const length = messageLength(bytes, position, sink);
    if (end - position - prefixBytes < length) {
      return position;
    }
    position += prefixBytes + length;
    if (!sink.takeMessage(viewOf(bytes, position - length, position))) {
      return end;
    }
  }
  return position;
}

/** The length in a prefix; throws RpcError in grpc-go's words. */
function messageLength(prefix: Uint8Array, offset: number, sink: MessageSink): number {
  const flag = prefix[offset]!;
  if (flag !== 0) {
    throw badFlag(flag, sink.encoding);
  }
  const length =
    ((prefix[offset + 1]! << 24) |
      (prefix[offset + 2]! << 16) |
      (prefix[offset + 3]! << 8) |
      prefix[offset + 4]!) >>>
    0;
  if (length > sink.messageBytesMax) {
    throw new RpcError(
      grpcStatus.resourceExhausted,
      `grpc: received message larger than max (${length} vs. ${sink.messageBytesMax})`,
    );
  }
  return length;
}

function badFlag(flag: number, encoding: string): RpcError {
  if (flag !== 1) {
    return new RpcError(grpcStatus.internal, `grpc: received unexpected payload format ${flag}`);
  }
  if (encoding === "identity") {
    return new RpcError(
      grpcStatus.internal,
      "grpc: compressed flag set with identity or empty encoding",
    );
  }
  return new CompressionError(
    grpcStatus.unimplemented,
    `grpc: Decompressor is not installed for grpc-encoding ${JSON.stringify(encoding)}`,
  );
}

/** A plain Uint8Array over the same memory: cheaper to make than Buffer's subarray. */
function viewOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);
}
