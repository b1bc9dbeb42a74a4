// peer: links to the other members of the cluster.
//
// What it is. Raft messages are one-way and may be lost, so they need no request and response:
// each member opens one connection to each other and writes frames on it (framing.ts). Small
// calls (lease renewal at the leader) share it. A state transfer has a connection of its own.
// contract.ts says what the node may rely on; tcp-network.ts puts the parts together:
//
//   outgoing-link.ts      what we send: dialing, pauses, pings, calls
//   incoming-link.ts      what one peer sends us
//   outgoing-transfer.ts  a state on its way out      incoming-transfer.ts  and in
//   handshake.ts          who may talk                frame-socket.ts       writes and bounds
//   transport.ts          TCP sockets                 tls-transport.ts      TLS ones
//
// Rules:
// - The handshake comes first: version, cluster, both members. Whoever fails it, or was removed,
//   is told why and counted. Cluster and member ids are no secrets: only TLS proves who calls.
// - This folder does not know what is in a frame; node/peer-codec.ts does. What arrives is
//   checked, and nonsense (DecodeError, here or in a handler) drops the link, nothing else.
// - Every queue is bounded. A peer that does not read loses the oldest frames that may be lost.
// - Dead links are found by pings, whatever TCP believes: 4 s on our side, 10 s on the other.
//
// Limits: frames of 64 MiB; 1,024 calls of one peer at once; 128 sockets that have not shaken
// hands. One link a pair and direction: bandwidth is that of one TCP connection.

export type * from "./contract.ts";
export { frameBytesMax, protocolVersion } from "./framing.ts";
export { PeerError } from "./peer-error.ts";
export type { PeerErrorReason } from "./peer-error.ts";
export { silentPeerMetrics } from "./silent-metrics.ts";
export { TcpPeerNetwork } from "./tcp-network.ts";
export type { TcpPeerNetworkConfig } from "./tcp-network.ts";
export { tlsTransport } from "./tls-transport.ts";
export type { PeerTls } from "./tls-transport.ts";
export { hostAndPort, listenOn, tcpTransport } from "./transport.ts";
export type { PeerListener, PeerTransport } from "./transport.ts";
