// Keys that only single puts, gets and deletes touch, so that each is a register for the second
// opinion. A new key is taken when one has been used often enough.

import { utf8 } from "../../src/base/index.ts";
import type { Rng } from "../../src/base/index.ts";
import { DeleteRangeRequest, PutRequest, RangeRequest } from "../../src/wire/index.ts";
import type { Operation } from "./history.ts";
import type { Marks } from "./marks.ts";
import { checkRegister } from "./register-check.ts";
import type { RegisterCall } from "./register-check.ts";
import { demand } from "./violation.ts";

const callsPerKeyMax = 150;

interface Noted {
  readonly operation: Operation;
  /** What it writes; undefined for a read. */
  readonly write: string | undefined;
}

export type RegisterRequest =
  | { readonly kind: "put"; readonly request: PutRequest; readonly write: string }
  | { readonly kind: "deleteRange"; readonly request: DeleteRangeRequest; readonly write: "" }
  | { readonly kind: "read"; readonly request: RangeRequest; readonly write: undefined };

export class Registers {
  readonly #rng: Rng;
  readonly #noted = new Map<string, Noted[]>();
  #begun = 0;

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  /** Before every other key, so that no range of the other requests meets it. */
  next(): { readonly key: string; readonly call: RegisterRequest } {
    const key = `a${Math.floor(this.#begun++ / callsPerKeyMax)}`;
    const bytes = utf8(key);
    switch (this.#rng.below(5)) {
      case 0:
      case 1: {
        const write = `r${this.#begun}`;
        const request = PutRequest.create({ key: bytes, value: utf8(write) });
        return { key, call: { kind: "put", request, write } };
      }
      case 2: {
        const request = DeleteRangeRequest.create({ key: bytes });
        return { key, call: { kind: "deleteRange", request, write: "" } };
      }
      default: {
        const request = RangeRequest.create({ key: bytes });
        return { key, call: { kind: "read", request, write: undefined } };
      }
    }
  }

  note(key: string, operation: Operation, write: string | undefined): void {
    const noted = this.#noted.get(key);
    if (noted === undefined) {
      this.#noted.set(key, [{ operation, write }]);
    } else {
      noted.push({ operation, write });
    }
  }

  /** Counts what was decided. Throws Violation. */
  check(marks: Marks): void {
    for (const [key, noted] of this.#noted) {
      const verdict = checkRegister(noted.flatMap(callOf));
      demand(verdict !== "not linearizable", () => `register ${key} is not linearizable`);
      marks.hit(`register ${verdict}`);
    }
  }
}

/** Reads that failed say nothing; writes that failed may have happened. */
function callOf({ operation, write }: Noted): RegisterCall[] {
  const { answer, callMs, returnMs } = operation;
  const isKnown = answer !== undefined && returnMs !== undefined;
  if (write === undefined) {
    return isKnown ? [{ write, read: valueIn(answer), callMs, returnMs }] : [];
  }
  return [{ write, read: undefined, callMs, returnMs: isKnown ? returnMs : Infinity }];
}

/** The value in the rendered answer to a get; "" when there is none. */
function valueIn(answer: string): string {
  return /=(\w*)@/.exec(answer)?.[1] ?? "";
}
