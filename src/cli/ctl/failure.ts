// How quoratectl fails: exit codes and texts are etcdctl's, with a hint in a line of its own.

import { grpcStatus } from "../../base/index.ts";
import { ClientError } from "../../client/index.ts";
import { hintOf } from "./hints.ts";

export const exitCodes = {
  error: 1,
  badConnection: 2,
  invalidInput: 3,
  badFeature: 4,
  interrupted: 5,
  io: 6,
  badArguments: 128,
} as const;

/** Ends the command with "Error: <message>" on standard error. */
export class CommandError extends Error {
  override name = "CommandError";
  readonly exitCode: number;
  /** What to try, as a line of its own. */
  readonly hint: string | undefined;

  /** An empty message ends the command without a word. */
  constructor(exitCode: number, message: string, hint?: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
    this.hint = hint;
  }
}

/** The text of whatever a call failed with; Go's where no server answered. */
export function callText(error: unknown): string {
  return error instanceof ClientError && isUnanswered(error)
    ? "context deadline exceeded"
    : textOf(error);
}

/** The text of an error. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** An error of the system in Go's words: "open /nowhere/file: no such file or directory". */
export function systemText(error: unknown): string {
  const text = textOf(error);
  const [, reason, call, path] = /^E\w+: (.*), (\w+)(?: '(.*)')?$/s.exec(text) ?? [];
  return reason === undefined || call === undefined
    ? text
    : `${call}${path === undefined ? "" : ` ${path}`}: ${reason}`;
}

/** Runs `call`; a refusal of the server ends the command with its text inside `wrap`. */
export async function orFail<T>(
  call: Promise<T>,
  exitCode: number = exitCodes.error,
  wrap: (text: string) => string = (text) => text,
): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof ClientError) {
      throw callFailure(error, exitCode, wrap);
    }
    throw error;
  }
}

/** Whether no server's answer is in it: it could not be reached, or was too slow. */
export function isUnanswered({ status, code, uncertain }: ClientError): boolean {
  return (
    code === undefined &&
    (status === grpcStatus.deadlineExceeded || (status === grpcStatus.unavailable && !uncertain))
  );
}

/** A call's refusal as the end of the command. Who is not let in has no connection. */
export function callFailure(
  error: ClientError,
  exitCode: number = exitCodes.error,
  wrap: (text: string) => string = (text) => text,
): CommandError {
  if (isUnanswered(error)) {
    // Whatever kept the answer away; main.ts tells why.
    return new CommandError(exitCode, wrap(callText(error)), undefined, { cause: error });
  }
  return error.code === "authFailed"
    ? new CommandError(exitCodes.badConnection, error.message, hintOf(error), { cause: error })
    : new CommandError(exitCode, wrap(error.message), hintOf(error), { cause: error });
}
