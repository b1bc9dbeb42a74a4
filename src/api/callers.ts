// Who makes a call, while authentication is on: the user of its token, else of its client
// certificate, else nobody. A token that is not good is an error, never "nobody".
//
// Tokens come as `token` (gRPC clients) or `authorization` (the JSON gateway, with or without
// "Bearer "). A certificate's name counts only on the client's own connection: a gateway's
// certificate says nothing of whom it calls for.

import { type Caller, type ErrorCode, nobody, QuorateError } from "../base/index.ts";
import type { CallContext } from "../grpc/index.ts";
import type { NodeHandle } from "../node/handle.ts";
import type { JwtTokens } from "./jwt.ts";
import { parseSimpleToken } from "./simple-token.ts";

const bearer = "Bearer ";

/** Throws what a check answered, if it was not "yes". */
export function permit(refusal: ErrorCode | undefined): void {
  if (refusal !== undefined) {
    throw new QuorateError(refusal);
  }
}

export class Callers {
  readonly #handle: NodeHandle;
  readonly #jwt: JwtTokens | undefined;
  readonly #certificateUsers: boolean;

  constructor(handle: NodeHandle, jwt: JwtTokens | undefined, certificateUsers: boolean) {
    this.#handle = handle;
    this.#jwt = jwt;
    this.#certificateUsers = certificateUsers;
  }

  /** Undefined while authentication is off. Throws invalidAuthToken or authOldRevision. */
  of(call: CallContext): Caller | undefined {
    const { auth } = this.#handle;
    if (!auth.enabled) {
      return undefined;
    }
    const token = tokenOf(call);
    if (token !== undefined) {
      return this.#ofToken(token, auth.revision);
    }
    const name = this.#certificateName(call);
    return name === "" ? nobody : { user: name, authRevision: auth.revision };
  }

  #certificateName(call: CallContext): string {
    const isGateway = call.metadata("grpcgateway-accept") !== undefined;
    return this.#certificateUsers && !isGateway ? (call.peer.certificateCommonName ?? "") : "";
  }

  /**
   * Whether the call has a token that this member may come to know: the command that issued it is
   * not applied here yet.
   */
  isAhead(call: CallContext): boolean {
    const token = tokenOf(call);
    if (token === undefined || this.#jwt !== undefined) {
      return false;
    }
    const simple = parseSimpleToken(token);
    return (
      simple !== undefined &&
      simple.index > this.#handle.status().applied &&
      this.#handle.userOfToken(simple.stored) === undefined
    );
  }

  #ofToken(token: string, revision: number): Caller {
    if (this.#jwt !== undefined) {
      const caller = this.#jwt.verify(token);
      if (caller === undefined) {
        throw new QuorateError("invalidAuthToken");
      }
      // On keys this is checked again where they are read or written; here it covers the rest.
      if (caller.authRevision < revision) {
        throw new QuorateError("authOldRevision");
      }
      return caller;
    }
    const simple = parseSimpleToken(token);
    const user = simple === undefined ? undefined : this.#handle.userOfToken(simple.stored);
    if (user === undefined) {
      throw new QuorateError("invalidAuthToken");
    }
    return { user, authRevision: revision };
  }
}

function tokenOf(call: CallContext): string | undefined {
  const value = call.metadata("token") ?? call.metadata("authorization");
  return value?.startsWith(bearer) === true ? value.slice(bearer.length) : value;
}
