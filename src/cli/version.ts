// What --version prints.

import { quorateVersion } from "../server/index.ts";

export { quorateVersion };

/** Scripts written for etcd look for the line with etcd's version. */
export function versionText(etcdVersion: string): string {
  return `quorate Version: ${quorateVersion()}\netcd Version: ${etcdVersion}\n`;
}
