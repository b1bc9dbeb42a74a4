// Why a call to another member gave no answer.

/**
 * `unreachable`: no link, or it broke (the call may have been carried out). `timeout`: no answer
 * in time (likewise). `failed`: the other side answered with an error. `aborted`: given up here.
 */
export type PeerErrorReason = "unreachable" | "timeout" | "failed" | "aborted";

export class PeerError extends Error {
  override name = "PeerError";
  readonly reason: PeerErrorReason;

  constructor(reason: PeerErrorReason, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.reason = reason;
  }
}
