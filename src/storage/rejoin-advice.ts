import { CorruptionError } from "../base/index.ts";

/** What to do about a data directory that is refused. */
export const adviceToRejoin =
  "This member cannot trust its disk and must not vote with what is on it. Remove it from the " +
  "cluster (quoratectl member remove), delete its data directory, add it again (quoratectl member " +
  "add) and start it empty: it is refilled by the others. If it is the only member, restore a " +
  "backup.";

/** Adds the advice to what tells of damage and does not have it yet; all else stays as it is. */
export function withAdvice(error: unknown): unknown {
  return error instanceof CorruptionError && !error.message.includes(adviceToRejoin)
    ? new CorruptionError(`${error.message}. ${adviceToRejoin}`, { cause: error })
    : error;
}
