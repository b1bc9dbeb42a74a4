// A started member makes its name and client URLs known to the cluster, and again whenever they
// have changed since it last did.

import { system } from "../base/index.ts";
import type { Clock } from "../base/index.ts";
import { MemberAttributes } from "../wire/index.ts";
import type { NodeConfig } from "./devices.ts";
import type { Member, NodeHandle } from "./handle.ts";

const retryMs = 500;

/** Tries until the member list says what `config` says, or the node stops. */
export async function publishAttributes(
  handle: NodeHandle,
  config: NodeConfig,
  clock: Clock,
  stopped: () => boolean,
): Promise<void> {
  const encoded = MemberAttributes.encode({
    memberId: config.memberId,
    name: config.name,
    clientUrls: config.clientUrls,
  });
  while (!stopped()) {
    try {
      const members = await handle.read(true, (state) => state.members());
      if (isPublished(members, config)) {
        return;
      }
      await handle.propose("memberAttributes", encoded, system);
    } catch {
      // No leader yet, or it changed: the next attempt tells.
      await new Promise<void>((resolve) => {
        clock.after(retryMs, resolve);
      });
    }
  }
}

function isPublished(members: readonly Member[], config: NodeConfig): boolean {
  const self = members.find((member) => member.id === config.memberId);
  return (
    self === undefined ||
    (self.name === config.name &&
      self.clientUrls.length === config.clientUrls.length &&
      self.clientUrls.every((url, i) => url === config.clientUrls[i]))
  );
}
