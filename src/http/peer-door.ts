// What a member tells over plain HTTP on its peer port: the member list, by which a new member
// finds out who it is, and the version. As etcd answers both there.

import { createServer, type Server } from "node:http";
import type { Member, NodeHandle } from "../node/handle.ts";
import { idToHex } from "../base/index.ts";
import type { HttpVersions } from "./index.ts";

const timeoutMs = 5_000;

/** A server that never listens itself: the peer port gives it connections once `handle` is there. */
export function createPeerHttpServer(handle: () => NodeHandle, versions: HttpVersions): Server {
  const limits = { headersTimeout: timeoutMs, requestTimeout: timeoutMs };
  const server = createServer(limits, (request, response) => {
    const answer = (status: number, body: string): void => {
      response.writeHead(status, {
        "content-type": status === 200 ? "application/json" : "text/plain; charset=utf-8",
        "x-etcd-cluster-id": idToHex(handle().status().clusterId),
        connection: "close",
      });
      response.end(body);
    };
    if (request.method !== "GET") {
      answer(405, "Method Not Allowed\n");
    } else if (request.url === "/members") {
      Promise.resolve(handle().read(false, (state) => state.members())).then(
        (members) => answer(200, membersJson(members)),
        () => answer(503, "the member is stopping\n"),
      );
    } else if (request.url === "/version") {
      const { etcdServer, etcdCluster, storage, quorate } = versions;
      answer(
        200,
        JSON.stringify({ etcdserver: etcdServer, etcdcluster: etcdCluster, storage, quorate }),
      );
    } else {
      answer(404, "404 page not found\n");
    }
  });
  // Time limits begin when a server listens; this one is told that it does.
  server.emit("listening");
  return server;
}

/** Ids are numbers of 64 bits, as etcd writes them; JSON.stringify cannot. */
function membersJson(members: readonly Member[]): string {
  const rows = members.map((member) => {
    const rest = JSON.stringify({
      peerURLs: member.peerUrls,
      name: member.name,
      clientURLs: member.clientUrls,
      isLearner: member.isLearner,
    });
    return `{"id":${member.id},${rest.slice(1)}`;
  });
  return `[${rows.join(",")}]\n`;
}
