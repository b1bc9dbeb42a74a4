// A cluster that grows while it runs, and calls that may be refused for a while.

import { rm } from "node:fs/promises";
import { join } from "node:path";
import {
  MemberAddRequest,
  MemberAddResponse,
  MemberRemoveRequest,
  MemberRemoveResponse,
} from "../../src/wire/index.ts";
import { KvClient } from "../support/kv-client.ts";
import { freePorts } from "../support/ports.ts";
import { MemberProcess } from "../support/processes.ts";

export const cluster = "/etcdserverpb.Cluster/";
export const deadlineMs = 10_000;

/** A cluster whose members are started one by one. */
export class GrowingCluster {
  readonly members: MemberProcess[] = [];
  readonly #directory: string;
  readonly #flags: readonly string[];

  constructor(directory: string, flags: readonly string[] = []) {
    this.#directory = directory;
    this.#flags = flags;
  }

  get endpoints(): string[] {
    return this.members.map((member) => member.endpoint);
  }

  /** A member with ports of its own, not started; `existing` are the members it joins. */
  async prepare(name: string): Promise<MemberProcess> {
    const [clientPort, peerPort] = (await freePorts(2)) as [number, number];
    const others = this.members.map(peerOf);
    const self = `${name}=http://127.0.0.1:${peerPort}`;
    const state = others.length === 0 ? "new" : "existing";
    const member = new MemberProcess({
      name,
      clientPort,
      peerPort,
      dataDirectory: join(this.#directory, name),
      flags: [
        `--initial-cluster=${[...others, self].join(",")}`,
        `--initial-cluster-state=${state}`,
        ...this.#flags,
      ],
    });
    this.members.push(member);
    return member;
  }

  /** Adds a member to the running cluster and starts it. */
  async join(name: string, isLearner = false): Promise<bigint> {
    const { member, id } = await this.add(name, isLearner);
    await member.start();
    return id;
  }

  /** Adds a member to the running cluster; it is to be started. */
  async add(
    name: string,
    isLearner: boolean,
  ): Promise<{ readonly member: MemberProcess; readonly id: bigint }> {
    const client = new KvClient((this.members[0] as MemberProcess).endpoint);
    try {
      const member = await this.prepare(name);
      const peerUrls = [`http://127.0.0.1:${member.options.peerPort}`];
      const reply = await eventually(() =>
        client.call(
          `${cluster}MemberAdd`,
          MemberAddRequest,
          MemberAddResponse,
          { peerUrls, isLearner },
          deadlineMs,
        ),
      );
      return { member, id: reply.member?.id ?? 0n };
    } finally {
      client.close();
    }
  }

  async remove(client: KvClient, id: bigint): Promise<void> {
    await eventually(() =>
      client.call(
        `${cluster}MemberRemove`,
        MemberRemoveRequest,
        MemberRemoveResponse,
        { id },
        deadlineMs,
      ),
    );
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.stop("SIGKILL")));
    await rm(this.#directory, { recursive: true, force: true });
  }
}

export function peerOf(member: MemberProcess): string {
  return `${member.options.name}=http://127.0.0.1:${member.options.peerPort}`;
}

/** Retries what is refused while members have not yet been heard, for some seconds. */
export async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  const untilMs = performance.now() + 15_000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const text = String(error);
      const isPassing = /unhealthy|not enough started|in sync|leader changed|no leader/.test(text);
      if (!isPassing || performance.now() > untilMs) {
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
