// etcdserverpb.Auth, while there is no authentication: it is off, and nobody can turn it on. A
// client that logs in all the same is told so in etcd's words, which clients take as "go on
// without". The other methods answer UNIMPLEMENTED (see index.ts).

import { QuorateError } from "../base/index.ts";
import type { Service } from "../grpc/index.ts";
import { AuthenticateRequest, AuthStatusRequest, AuthStatusResponse } from "../wire/index.ts";
import type { ApiContext } from "./context.ts";

/** etcd's first auth revision. */
const authRevisionFirst = 1;

export function authService(api: ApiContext): Service {
  return {
    name: "etcdserverpb.Auth",
    methods: {
      AuthStatus: {
        kind: "unary",
        handle: (bytes) => {
          AuthStatusRequest.decode(bytes);
          return AuthStatusResponse.encode({
            header: api.currentHeader(),
            enabled: false,
            authRevision: authRevisionFirst,
          });
        },
      },
      Authenticate: {
        kind: "unary",
        handle: (bytes) => {
          AuthenticateRequest.decode(bytes);
          throw new QuorateError("authNotEnabled");
        },
      },
    },
  };
}
