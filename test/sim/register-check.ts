// A second opinion on linearizability, which knows nothing of logs or revisions: the method of
// Wing and Gong with Lowe's cache, as Porcupine does it, for one key as a register. Calls whose
// outcome is unknown may have taken effect at any later time, or never.

import { demand } from "./violation.ts";

export interface RegisterCall {
  /** What it writes, "" for a deletion; undefined for a read. */
  readonly write: string | undefined;
  /** What a read showed, "" when the key was not there. */
  readonly read: string | undefined;
  readonly callMs: number;
  /** Infinity when the outcome is unknown. */
  readonly returnMs: number;
}

/** Steps after which the search is given up, and that counts as a failure. */
const stepsMax = 2_000_000;

interface Node {
  readonly call: number;
  readonly isReturn: boolean;
  previous: Node | undefined;
  next: Node | undefined;
  /** Of a call: its return. */
  match: Node | undefined;
}

function entriesOf(calls: readonly RegisterCall[]): Node {
  const events = calls.flatMap(({ callMs, returnMs }, call) => [
    { atMs: callMs, isReturn: false, call },
    { atMs: returnMs, isReturn: true, call },
  ]);
  // At one instant calls come first: what overlaps only there counts as concurrent.
  events.sort((a, b) => a.atMs - b.atMs || Number(a.isReturn) - Number(b.isReturn));
  const head: Node = {
    call: -1,
    isReturn: false,
    previous: undefined,
    next: undefined,
    match: undefined,
  };
  const begun = new Map<number, Node>();
  let last = head;
  for (const { isReturn, call } of events) {
    const node: Node = { call, isReturn, previous: last, next: undefined, match: undefined };
    last.next = node;
    last = node;
    if (isReturn) {
      (begun.get(call) as Node).match = node;
    } else {
      begun.set(call, node);
    }
  }
  return head;
}

function lift(node: Node): void {
  const match = node.match as Node;
  for (const each of [node, match]) {
    (each.previous as Node).next = each.next;
    if (each.next !== undefined) {
      each.next.previous = each.previous;
    }
  }
}

function unlift(node: Node): void {
  const match = node.match as Node;
  for (const each of [match, node]) {
    (each.previous as Node).next = each;
    if (each.next !== undefined) {
      each.next.previous = each;
    }
  }
}

/** Whether some order of the calls, true to real time, explains every read. */
export function isLinearizable(calls: readonly RegisterCall[]): boolean {
  const head = entriesOf(calls);
  const must = calls.filter(({ returnMs }) => returnMs !== Number.POSITIVE_INFINITY).length;
  const seen = new Set<string>();
  const stack: { readonly node: Node; readonly state: string }[] = [];
  let done = 0n;
  let known = 0;
  let state = "";
  let at = head.next;
  for (let steps = 0; known < must; steps++) {
    demand(steps < stepsMax, `the search through ${calls.length} calls takes too long`);
    if (at !== undefined && !at.isReturn) {
      const { write, read, returnMs } = calls[at.call] as RegisterCall;
      const after = write ?? state;
      const next = done | (1n << BigInt(at.call));
      if ((read === undefined || read === state) && !seen.has(`${next} ${after}`)) {
        seen.add(`${next} ${after}`);
        stack.push({ node: at, state });
        state = after;
        done = next;
        known += returnMs === Number.POSITIVE_INFINITY ? 0 : 1;
        lift(at);
        at = head.next;
      } else {
        at = at.next;
      }
      continue;
    }
    // Somebody has returned whose effect found no place: the last choice was wrong.
    const undone = stack.pop();
    if (undone === undefined) {
      return false;
    }
    const { node } = undone;
    ({ state } = undone);
    done &= ~(1n << BigInt(node.call));
    known -= (calls[node.call] as RegisterCall).returnMs === Number.POSITIVE_INFINITY ? 0 : 1;
    unlift(node);
    at = node.next;
  }
  return true;
}
