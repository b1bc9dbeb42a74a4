// What a case of one RPC is given, and how it says what must be refused.

import { expectRefused, type RawClient, type unaryMethods } from "../raw-client.ts";
import type { Target } from "../targets.ts";

export interface Scene {
  readonly at: Target;
  readonly client: RawClient;
  /** Of keys and names that no other case uses. */
  readonly prefix: string;
}

/** By path, "/package.Service/Method": one case with its edge cases. */
export type RpcCases = Readonly<Record<string, (scene: Scene) => Promise<void>>>;

type Methods = typeof unaryMethods;
type Request<M extends keyof Methods> = Partial<ReturnType<Methods[M]["request"]["decode"]>>;

/** Each request fails with its code and text; the store is at the same revision after all. */
export async function refusesAll<M extends keyof Methods>(
  client: RawClient,
  method: M,
  cases: readonly (readonly [request: Request<M>, code: number, text: string])[],
): Promise<void> {
  const before = await revisionOf(client);
  for (const [request, code, text] of cases) {
    await expectRefused(client.call(method, request), code, text);
  }
  const after = await revisionOf(client);
  if (after !== before) {
    throw new Error(`refused ${method} calls took the store from ${before} to ${after}`);
  }
}

export async function revisionOf(client: RawClient): Promise<number> {
  const { header } = await client.call("range", { key: Uint8Array.of(1) });
  return header?.revision ?? 0;
}

export const compacted = "etcdserver: mvcc: required revision has been compacted";
export const future = "etcdserver: mvcc: required revision is a future revision";
/** Beyond every revision of a test. */
export const farRevision = 1_000_000_000;
