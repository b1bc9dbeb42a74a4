// Replies in protobuf as text without revisions, which differ from one write to the next.

import * as wire from "../../../src/wire/index.ts";

interface Codec {
  decode(bytes: Uint8Array): unknown;
}

/** Replies by command. Those of leases are only a header. */
const codecs: Readonly<Record<string, Codec>> = {
  put: wire.PutResponse,
  del: wire.DeleteRangeResponse,
  txn: wire.TxnResponse,
  "lease grant": wire.ResponseHeader,
  "lease revoke": wire.LeaseRevokeResponse,
  "user add": wire.AuthUserAddResponse,
  "user delete": wire.AuthUserDeleteResponse,
  "user passwd": wire.AuthUserChangePasswordResponse,
  "user grant-role": wire.AuthUserGrantRoleResponse,
  "user revoke-role": wire.AuthUserRevokeRoleResponse,
  "role add": wire.AuthRoleAddResponse,
  "role delete": wire.AuthRoleDeleteResponse,
  "role grant-permission": wire.AuthRoleGrantPermissionResponse,
  "role revoke-permission": wire.AuthRoleRevokePermissionResponse,
};

/** `out` has a character a byte. */
export function decodedReply(command: string, out: string): string {
  const codec = codecs[command];
  if (codec === undefined) {
    throw new Error(`decode.ts does not know the reply of ${command}`);
  }
  return JSON.stringify(codec.decode(Buffer.from(out, "latin1")), (name, value: unknown) =>
    /revision$/i.test(name) ? undefined : typeof value === "bigint" ? String(value) : value,
  );
}
