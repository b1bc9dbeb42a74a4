// A line in the log for each unary call that took long (--warning-unary-request-duration). It names
// the call and its outcome, never keys or values. Calls that wait by their nature are left out.

import { LineBudget } from "../base/index.ts";
import type { Clock, GrpcStatus, Logger } from "../base/index.ts";
import type { ApiOptions } from "./context.ts";
import { rpcPath, rpcTable } from "./rpc-table.ts";

/** etcd's default. */
const slowRequestMsDefault = 300;
/** They end when somebody else lets go. */
const waitingMethods: ReadonlySet<string> = new Set(["Lock", "Campaign"]);

export class SlowRequests {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #slowMs: number;
  readonly #lines = new LineBudget();
  readonly #unaryPaths: ReadonlySet<string>;

  constructor({ clock, logger, slowRequestMs }: ApiOptions) {
    this.#clock = clock;
    this.#logger = logger;
    this.#slowMs = slowRequestMs ?? slowRequestMsDefault;
    this.#unaryPaths = new Set(
      rpcTable
        .filter(({ kind, method }) => kind === "unary" && !waitingMethods.has(method))
        .map(rpcPath),
    );
  }

  callEnded(path: string, status: GrpcStatus, elapsedMs: number): void {
    if (elapsedMs <= this.#slowMs || !this.#unaryPaths.has(path)) {
      return;
    }
    const silenced = this.#lines.take(this.#clock.monotonicMs());
    if (silenced !== undefined) {
      this.#logger.warn(
        {
          method: path,
          code: status,
          tookMs: Math.round(elapsedMs),
          expectedMs: this.#slowMs,
          ...(silenced > 0 ? { silenced } : {}),
        },
        "unary request took too long",
      );
    }
  }
}
