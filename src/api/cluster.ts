// etcdserverpb.Cluster. Its headers have no revision. Members cannot be changed yet: those methods
// answer UNIMPLEMENTED (see index.ts).

import { compareIds } from "../base/index.ts";
import type { ReplyBytes, Service } from "../grpc/index.ts";
import { MemberListRequest, MemberListResponse } from "../wire/index.ts";
import type { ApiContext } from "./context.ts";

export function clusterService(api: ApiContext): Service {
  return {
    name: "etcdserverpb.Cluster",
    methods: {
      MemberList: { kind: "unary", handle: (bytes) => memberList(api, bytes) },
    },
  };
}

function memberList(api: ApiContext, bytes: Uint8Array): ReplyBytes | Promise<ReplyBytes> {
  const { linearizable } = MemberListRequest.decode(bytes);
  return api.handle.read<ReplyBytes>(linearizable, (state) =>
    MemberListResponse.encode({
      header: api.headerMessage(0),
      members: [...state.members()].sort((a, b) => compareIds(a.id, b.id)),
    }),
  );
}
