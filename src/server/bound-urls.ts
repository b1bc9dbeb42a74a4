// Addresses with port 0: the port is known once it is listened on, and then takes the 0's place.

import type { Socket } from "node:net";
import type { PeerListener, PeerTransport } from "../peer/index.ts";
import type { InitialMember, ServerConfig } from "./config.ts";
import { isUnixSocket, type ServerUrl } from "./urls.ts";

const anyPort = /:0$/;

/** `advertised` with the port got where it says 0; `got` is by host and port as listened on. */
export function withBoundPorts(
  advertised: readonly string[],
  listened: readonly ServerUrl[],
  got: ReadonlyMap<string, number>,
): string[] {
  const first = listened.find((url) => url.port === 0 && !isUnixSocket(url));
  const port = first === undefined ? undefined : got.get(`${first.host} 0`);
  return advertised.map((url) => (port === undefined ? url : url.replace(anyPort, `:${port}`)));
}

/** A peer port listened on before the member that it is for is there. */
export interface HeldPeerPort {
  /** The configuration with the port got. */
  readonly config: ServerConfig;
  /** Its `listen` hands the port over; everything else is the given transport's. */
  readonly transport: PeerTransport;
  /** The port is not one that was asked for, and may be another one than last time. */
  readonly wasChosen: boolean;
  /** Lets go of a port that was not handed over. */
  release(): Promise<void>;
}

/**
 * Listens for peers where the configuration asks for any free port: a member's id is made from its
 * addresses, so the port must be known first, and kept.
 */
export async function holdPeerPort(
  config: ServerConfig,
  transport: PeerTransport,
): Promise<HeldPeerPort> {
  const url = config.listenPeerUrls.find(({ port }) => port === 0);
  if (url === undefined) {
    return { config, transport, wasChosen: false, release: () => Promise.resolve() };
  }
  let take = (socket: Socket): void => {
    socket.destroy();
  };
  const listener = await transport.listen(url.text, (socket) => take(socket));
  let held: PeerListener | undefined = listener;
  const bind = (text: string): string => text.replace(anyPort, `:${listener.port}`);
  const boundUrl = bind(url.text);
  const initialCluster = config.initialCluster.map(
    (member): InitialMember =>
      member.name === config.name
        ? { name: member.name, peerUrls: member.peerUrls.map(bind).sort() }
        : member,
  );
  return {
    config: {
      ...config,
      listenPeerUrls: config.listenPeerUrls.map((each) =>
        each === url ? { ...url, port: listener.port, text: boundUrl } : each,
      ),
      advertisePeerUrls: config.advertisePeerUrls.map(bind).sort(),
      initialCluster,
    },
    transport: {
      connect: (to, onConnected) => transport.connect(to, onConnected),
      listen: (to, onSocket) => {
        if (to !== boundUrl || held === undefined) {
          return transport.listen(to, onSocket);
        }
        held = undefined;
        take = onSocket;
        return Promise.resolve(listener);
      },
    },
    wasChosen: true,
    release: () => held?.close() ?? Promise.resolve(),
  };
}
