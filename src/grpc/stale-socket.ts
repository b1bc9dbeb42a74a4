// The file of a unix socket outlives a process that was killed, and nobody can listen there until
// it is gone. It is removed only when nobody answers on it: a socket in use, or another kind of
// file, is left for the listener to fail on.

import { lstatSync, unlinkSync } from "node:fs";
import { connect } from "node:net";

/** Removes the socket at `path` if nobody listens on it; never rejects. */
export async function clearStaleSocket(path: string): Promise<void> {
  const isSocket = lstatSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
  if (!isSocket) {
    return;
  }
  const isAnswered = await new Promise<boolean>((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code !== "ECONNREFUSED"));
  });
  if (!isAnswered) {
    unlinkSync(path);
  }
}
