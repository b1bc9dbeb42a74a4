// The constants of HTTP/2 framing (RFC 9113 sections 6 and 7) and its two kinds of error.

export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const frameFlag = {
  /** DATA, HEADERS */
  endStream: 0x1,
  /** SETTINGS, PING */
  ack: 0x1,
  /** HEADERS, CONTINUATION */
  endHeaders: 0x4,
  /** DATA, HEADERS */
  padded: 0x8,
  /** HEADERS */
  priority: 0x20,
} as const;

export const settingId = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

export const errorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
} as const;

export type ErrorCode = (typeof errorCode)[keyof typeof errorCode];

export const frameHeaderBytes = 9;
/** SETTINGS_MAX_FRAME_SIZE of this server: the smallest allowed, so nobody has to adapt. */
export const frameSizeMax = 16_384;
export const windowSizeMax = 0x7fff_ffff;
export const initialWindowBytes = 65_535;

export const preface: Uint8Array = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** The connection is beyond repair: GOAWAY with this code, then close. */
export class ConnectionError extends Error {
  override name = "ConnectionError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
