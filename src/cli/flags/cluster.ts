// Flags about the cluster: who its members are and how it begins.

import { type Flag, type FlagKind, rowsOf } from "./flag.ts";

const row = rowsOf("Cluster");

function discovery(name: string, kind: FlagKind, defaultText: string, doc: string): Flag {
  return row(`discovery-${name}`, kind, defaultText, "works", doc);
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
  row(
    "discovery",
    "string",
    "",
    "refused",
    "Version 2 of discovery, which etcd 3.6 has dropped too: use --discovery-endpoints.",
  ),
  row("discovery-proxy", "string", "", "ignored", "No meaning here: for --discovery alone."),
  discovery(
    "endpoints",
    "list",
    "",
    "Another cluster, in which the first members find each other.",
  ),
  discovery(
    "token",
    "string",
    "",
    "Name of the cluster to be found there; its size must be put first.",
  ),
  discovery("dial-timeout", "duration", "2s", "Wait for a connection to it."),
  discovery("request-timeout", "duration", "5s", "Wait for an answer; then it is asked again."),
  discovery("keepalive-time", "duration", "2s", "Silence after which it is pinged."),
  discovery("keepalive-timeout", "duration", "6s", "Wait for the answer to that."),
  discovery("insecure-transport", "bool", "true", "No TLS to endpoints that do not say https."),
  discovery("insecure-skip-tls-verify", "bool", "false", "Take any certificate of it."),
  discovery("cert", "string", "", "Certificate shown to it."),
  discovery("key", "string", "", "The certificate's private key."),
  discovery("cacert", "string", "", "Authorities of its certificates."),
  discovery("user", "string", "", "User there, as name or name:password."),
  discovery("password", "string", "", "The user's password."),
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
