// Telling systemd that the server is ready (a unit of Type=notify). Node.js has no datagram sockets
// of the unix kind, so systemd's own command speaks for it: the unit needs NotifyAccess=all.

import { execFile } from "node:child_process";
import type { Logger } from "../base/index.ts";

const timeoutMs = 5_000;

/** Does nothing unless systemd asked to be told. */
export function notifyReady(logger: Logger): void {
  if ((process.env["NOTIFY_SOCKET"] ?? "") === "") {
    return;
  }
  execFile("systemd-notify", ["--ready"], { timeout: timeoutMs }, (error) => {
    if (error !== null) {
      logger.warn({ error: error.message }, "could not notify systemd");
    }
  });
}
