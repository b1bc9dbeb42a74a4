// etcdserverpb.Cluster. Its headers have no revision.

import { compareIds, QuorateError, toMemberId } from "../base/index.ts";
import type { ReplyBytes, Service, UnaryHandler } from "../grpc/index.ts";
import {
  MemberAddRequest,
  MemberAddResponse,
  MemberListRequest,
  MemberListResponse,
  MemberPromoteRequest,
  MemberPromoteResponse,
  MemberRemoveRequest,
  MemberRemoveResponse,
  MemberUpdateRequest,
  MemberUpdateResponse,
} from "../wire/index.ts";
import type { Member, ResponseHeader } from "../wire/index.ts";
import type { ApiContext } from "./context.ts";

export function clusterService(api: ApiContext): Service {
  const unary = (
    handle: (api: ApiContext, bytes: Uint8Array) => ReplyBytes | Promise<ReplyBytes>,
  ): { kind: "unary"; handle: UnaryHandler } => ({
    kind: "unary",
    handle: (bytes) => handle(api, bytes),
  });
  return {
    name: "etcdserverpb.Cluster",
    methods: {
      MemberAdd: unary(memberAdd),
      MemberRemove: unary(memberRemove),
      MemberUpdate: unary(memberUpdate),
      MemberPromote: unary(memberPromote),
      MemberList: unary(memberList),
    },
  };
}

async function memberAdd(api: ApiContext, bytes: Uint8Array): Promise<ReplyBytes> {
  const { peerUrls, isLearner } = MemberAddRequest.decode(bytes);
  checkPeerUrls(peerUrls);
  const member = await api.handle.memberAdd(peerUrls, isLearner);
  return MemberAddResponse.encode({ ...(await changed(api)), member });
}

async function memberRemove(api: ApiContext, bytes: Uint8Array): Promise<ReplyBytes> {
  const { id } = MemberRemoveRequest.decode(bytes);
  await api.handle.memberRemove(toMemberId(id));
  return MemberRemoveResponse.encode(await changed(api));
}

async function memberUpdate(api: ApiContext, bytes: Uint8Array): Promise<ReplyBytes> {
  const { id, peerUrls } = MemberUpdateRequest.decode(bytes);
  checkPeerUrls(peerUrls);
  await api.handle.memberUpdate(toMemberId(id), peerUrls);
  return MemberUpdateResponse.encode(await changed(api));
}

async function memberPromote(api: ApiContext, bytes: Uint8Array): Promise<ReplyBytes> {
  const { id } = MemberPromoteRequest.decode(bytes);
  await api.handle.memberPromote(toMemberId(id));
  return MemberPromoteResponse.encode(await changed(api));
}

function memberList(api: ApiContext, bytes: Uint8Array): ReplyBytes | Promise<ReplyBytes> {
  const { linearizable } = MemberListRequest.decode(bytes);
  return api.handle.read<ReplyBytes>(linearizable, (state) =>
    MemberListResponse.encode({ header: api.headerMessage(0), members: sorted(state.members()) }),
  );
}

/** What every reply to a change says: the members as they are now, here. */
async function changed(
  api: ApiContext,
): Promise<{ readonly header: ResponseHeader; readonly members: readonly Member[] }> {
  const members = await api.handle.read(false, (state) => sorted(state.members()));
  return { header: api.headerMessage(0), members };
}

function sorted(members: readonly Member[]): Member[] {
  return [...members].sort((a, b) => compareIds(a.id, b.id));
}

/** etcd's rules for the URLs of a member: a scheme, a host and a port, and nothing behind. */
function checkPeerUrls(peerUrls: readonly string[]): void {
  const isGood = (text: string): boolean =>
    /^(https?|unixs?):\/\/(\[[^\]]+\]|[^/:?#]+):\d{1,5}$/.test(text.trim());
  if (peerUrls.length === 0 || !peerUrls.every(isGood)) {
    throw new QuorateError("memberBadUrls");
  }
}
