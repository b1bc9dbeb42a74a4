// What every service of the API is given.

import type { Caller, Clock, Counter, Logger, MetricsRegistry, Rng } from "../base/index.ts";
import type { NodeHandle } from "../node/handle.ts";
import type { CallContext } from "../grpc/index.ts";
import { HeaderEncoder, type ResponseHeader } from "../wire/index.ts";
import { Callers } from "./callers.ts";
import type { JwtTokens } from "./jwt.ts";
import { bcryptCostDefault, BcryptHasher, type PasswordHasher } from "./password-hasher.ts";

export interface ApiOptions {
  /** A started node: its ids no longer change. */
  readonly handle: NodeHandle;
  readonly clock: Clock;
  /** For lease ids. */
  readonly rng: Rng;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** What Status.version says: an etcd version, since clients decide by it what they may call. */
  readonly etcdVersion: string;
  /** Status.storageVersion, e.g. "3.6.0". */
  readonly storageVersion: string;
  /** Largest request, bytes (--max-request-bytes). */
  readonly requestBytesMax: number;
  /** Operations in one branch of a txn (--max-txn-ops). */
  readonly txnOpsMax: number;
  /** Streams that require a leader end when there was none for three of these. */
  readonly electionTimeoutMs: number;
  /** A unary call that takes longer to answer is logged; 300 ms when not given. */
  readonly slowRequestMs?: number | undefined;
  /** Signed tokens instead of simple ones (--auth-token). */
  readonly jwt?: JwtTokens | undefined;
  /** Whether the name in a client's certificate is its user (--client-cert-auth). */
  readonly certificateUsers?: boolean | undefined;
  /** Of new passwords (--bcrypt-cost). */
  readonly bcryptCost?: number | undefined;
  /** Another hasher than bcrypt in a thread. */
  readonly passwords?: PasswordHasher | undefined;
}

export class ApiContext {
  readonly handle: NodeHandle;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly logger: Logger;
  readonly options: ApiOptions;
  readonly header: HeaderEncoder;
  readonly callers: Callers;
  readonly jwt: JwtTokens | undefined;
  readonly passwords: PasswordHasher;
  /** Streams that this member ended because of what they said or because it could not serve on. */
  readonly streamFailures: { readonly watch: Counter; readonly leaseKeepAlive: Counter };
  readonly #clusterId: bigint;
  readonly #memberId: bigint;

  constructor(options: ApiOptions) {
    const status = options.handle.status();
    this.handle = options.handle;
    this.clock = options.clock;
    this.rng = options.rng;
    this.logger = options.logger;
    this.options = options;
    this.jwt = options.jwt;
    this.callers = new Callers(options.handle, options.jwt, options.certificateUsers ?? false);
    this.passwords = options.passwords ?? new BcryptHasher(options.bcryptCost ?? bcryptCostDefault);
    const failures = options.metrics.counterFamily(
      "etcd_network_server_stream_failures_total",
      "The total number of stream failures from the local server.",
      ["Type", "API"],
    );
    this.streamFailures = {
      watch: failures.with("receive", "watch"),
      leaseKeepAlive: failures.with("receive", "lease-keepalive"),
    };
    this.#clusterId = status.clusterId;
    this.#memberId = status.memberId;
    this.header = new HeaderEncoder(status.clusterId, status.memberId);
  }

  /** Who calls; undefined while authentication is off. Throws for a token that is not good. */
  callerOf(call: CallContext): Caller | undefined {
    return this.callers.of(call);
  }

  /** Field 1 of a response: the header of this member with `revision` and the current term. */
  headerField(revision: number): Uint8Array {
    return this.header.field(revision, this.handle.status().term);
  }

  /** The same as a message. */
  headerMessage(revision: number): ResponseHeader {
    return {
      clusterId: this.#clusterId,
      memberId: this.#memberId,
      revision,
      raftTerm: this.handle.status().term,
    };
  }

  /** With the current revision: for replies that have none of their own. */
  currentHeader(): ResponseHeader {
    return this.headerMessage(this.handle.status().revision);
  }
}
