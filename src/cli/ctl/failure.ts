// How quoratectl fails: exit codes and texts are etcdctl's.

import { ClientError } from "../../client/index.ts";

export const exitCodes = {
  error: 1,
  badConnection: 2,
  invalidInput: 3,
  badFeature: 4,
  interrupted: 5,
  badArguments: 128,
} as const;

/** Ends the command with "Error: <message>" on standard error. */
export class CommandError extends Error {
  override name = "CommandError";
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The text of whatever a call failed with. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
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
      throw new CommandError(exitCode, wrap(error.message));
    }
    throw error;
  }
}
