// The space quota at the door: a request that would take the store past its quota is refused, and
// the NOSPACE alarm raised, which makes every member refuse until it is disarmed (apply holds that
// gate), by an operator or by itself (node/space-watch.ts). etcd's costs: 256 bytes a pair on top
// of key and value, 64 a lease.
//
// What is measured against the quota is what history and index take (Status.dbSizeInUse), not the
// files: deleting and compacting bring it down at once, while the files follow in the background.

import { grpcStatus, QuorateError, system } from "../base/index.ts";
import { AlarmRequest, AlarmRequestAlarmAction, AlarmType } from "../wire/index.ts";
import type { PutRequest, RequestOp, TxnRequest } from "../wire/index.ts";
import type { ApiContext } from "./context.ts";

const pairOverheadBytes = 256;
export const leaseCostBytes = 64;

export function putCost(request: PutRequest): number {
  return pairOverheadBytes + request.key.length + request.value.length;
}

/** That of the dearer branch. */
export function txnCost(request: TxnRequest): number {
  return Math.max(opsCost(request.success), opsCost(request.failure));
}

function opsCost(ops: readonly RequestOp[]): number {
  let cost = 0;
  for (const { request } of ops) {
    if (request?.kind === "requestPut") {
      cost += putCost(request.value);
    } else if (request?.kind === "requestTxn") {
      cost += txnCost(request.value);
    }
  }
  return cost;
}

export class QuotaGate {
  readonly #api: ApiContext;
  #raising = false;

  constructor(api: ApiContext) {
    this.#api = api;
  }

  /** Throws noSpace when `costBytes` more would reach the quota. What costs nothing always may. */
  check(costBytes: number): void {
    const status = this.#api.handle.status();
    if (costBytes === 0 || status.quotaBytes <= 0) {
      return;
    }
    if (status.sizeInUseBytes + costBytes >= status.quotaBytes) {
      this.#raiseAlarm(status.memberId);
      throw new QuorateError("noSpace");
    }
  }

  #raiseAlarm(memberId: bigint): void {
    if (this.#raising) {
      return;
    }
    this.#raising = true;
    const request = AlarmRequest.encode({
      action: AlarmRequestAlarmAction.ACTIVATE,
      memberId,
      alarm: AlarmType.NOSPACE,
    });
    this.#api.handle.propose("alarm", request, system).then(
      () => {
        this.#raising = false;
      },
      (error: unknown) => {
        this.#raising = false;
        const expected = error instanceof QuorateError && error.status === grpcStatus.unavailable;
        if (!expected) {
          this.#api.logger.warn({ err: error }, "could not raise the NOSPACE alarm");
        }
      },
    );
  }
}
