// A direct server under attack: raw clients to attack it with, and the question at the end whether
// it still answers others.

import { strictEqual } from "node:assert/strict";
import { frameType } from "../../src/grpc/frame.ts";
import type { ConnectionLimits, GrpcServerOptions } from "../../src/grpc/index.ts";
import { type Harness, startServer } from "./harness.ts";
import { RawH2 } from "./raw-h2.ts";

export class AttackTarget {
  readonly server: Harness;
  readonly #clients: RawH2[] = [];

  constructor(server: Harness) {
    this.server = server;
  }

  async open(...values: readonly (readonly [number, number])[]): Promise<RawH2> {
    const client = await RawH2.open(this.server.portNumber, ...values);
    this.#clients.push(client);
    return client;
  }

  /** Others are still answered; then all is closed. */
  async finish(): Promise<void> {
    const reply = await this.server.client().unary("Unary", "still here");
    strictEqual(reply.toString(), "still here");
    for (const client of this.#clients) {
      client.close();
    }
    await this.server.close();
  }
}

export async function startTarget(
  limits: Partial<ConnectionLimits> = {},
  options: Partial<GrpcServerOptions> = {},
): Promise<AttackTarget> {
  return new AttackTarget(await startServer("direct", { limits, ...options }));
}

/** DATA bytes that a client got. */
export function dataLength(client: RawH2): number {
  let length = 0;
  for (const { type, payload } of client.frames) {
    length += type === frameType.data ? payload.length : 0;
  }
  return length;
}
