// What --version prints.

import { quorateVersion } from "../server/index.ts";

export { quorateVersion };

/** Four lines, etcd's version first: scripts written for etcd read the first one. */
export function versionText(etcdVersion: string): string {
  return [
    `etcd Version: ${etcdVersion}`,
    `quorate Version: ${quorateVersion()}`,
    `Node.js Version: ${process.version}`,
    `OS/Arch: ${process.platform}/${process.arch}`,
    "",
  ].join("\n");
}
