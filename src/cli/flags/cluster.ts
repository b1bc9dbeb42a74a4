// Flags about the cluster: who its members are and how it begins.

import { type Flag, type FlagKind, rowsOf } from "./flag.ts";

const row = rowsOf("Cluster");
const noDiscovery = "No discovery service: name the members, or use --discovery-srv.";

function discovery(name: string, kind: FlagKind, defaultText: string): Flag {
  return row(name, kind, defaultText, "refused", noDiscovery);
}

export const clusterFlags: readonly Flag[] = [
  row(
    "initial-advertise-peer-urls",
    "urls",
    "http://localhost:2380",
    "works",
    "Peer addresses of this member, as the others know them.",
  ),
  row(
    "initial-cluster",
    "string",
    "default=http://localhost:2380",
    "works",
    "All first members: name=url, separated by commas.",
  ),
  row(
    "initial-cluster-state",
    "choice",
    "new",
    "works",
    "Whether the cluster begins now or this member joins a running one.",
    ["new", "existing"],
  ),
  row(
    "initial-cluster-token",
    "string",
    "etcd-cluster",
    "works",
    "Keeps clusters with the same addresses apart.",
  ),
  row(
    "advertise-client-urls",
    "urls",
    "http://localhost:2379",
    "works",
    "Client addresses of this member, as clients are told.",
  ),
  row(
    "strict-reconfig-check",
    "bool",
    "true",
    "works",
    "Refuse changes of membership that would lose quorum.",
  ),
  row("pre-vote", "bool", "true", "ignored", "No meaning here: pre-vote is always on."),
  row("max-learners", "uint", "1", "works", "Learners that the cluster may have at one time."),
  row(
    "auto-compaction-mode",
    "choice",
    "periodic",
    "works",
    "Whether --auto-compaction-retention is a time or a number of revisions.",
    ["periodic", "revision"],
  ),
  row(
    "auto-compaction-retention",
    "string",
    "0",
    "works",
    "History to keep: a duration (hours without a unit) or revisions; 0 keeps all.",
  ),
  discovery("discovery", "string", ""),
  discovery("discovery-proxy", "string", ""),
  discovery("discovery-endpoints", "list", ""),
  discovery("discovery-token", "string", ""),
  discovery("discovery-dial-timeout", "duration", "2s"),
  discovery("discovery-request-timeout", "duration", "5s"),
  discovery("discovery-keepalive-time", "duration", "2s"),
  discovery("discovery-keepalive-timeout", "duration", "6s"),
  discovery("discovery-insecure-transport", "bool", "true"),
  discovery("discovery-insecure-skip-tls-verify", "bool", "false"),
  discovery("discovery-cert", "string", ""),
  discovery("discovery-key", "string", ""),
  discovery("discovery-cacert", "string", ""),
  discovery("discovery-user", "string", ""),
  discovery("discovery-password", "string", ""),
  row("discovery-srv", "string", "", "works", "Domain whose SRV records name the first members."),
  row("discovery-srv-name", "string", "", "works", "Suffix of the service's name in them."),
  row(
    "discovery-fallback",
    "choice",
    "exit",
    "ignored",
    "No meaning here: there is no discovery to fall back from.",
    ["exit", "proxy"],
  ),
];
