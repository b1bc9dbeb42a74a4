// A cluster of real members whose links run through proxies, whose disks can be made to fail, and
// whose members can be replaced. Everything it makes it also takes away.

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  MemberAddRequest,
  MemberAddResponse,
  MemberListRequest,
  MemberListResponse,
  MemberRemoveRequest,
  MemberRemoveResponse,
} from "../../src/wire/index.ts";
import { freePorts } from "../support/ports.ts";
import { MemberProcess } from "../support/processes.ts";
import { Endpoint } from "./endpoint.ts";
import { LinkRules, PeerProxy } from "./proxy.ts";
import { Shim, buildShim } from "./shim.ts";
import { sleep } from "./workload.ts";

const run = promisify(execFile);
const callMs = 10_000;
const tmpfsBytes = 400 * 1024 * 1024;

/** Few kept entries, so that a member that was away is sent a snapshot. */
const clusterFlags = [
  "--watch-progress-notify-interval=500ms",
  "--snapshot-count=500",
  "--snapshot-catchup-entries=300",
];

export interface ChaosMember {
  readonly name: string;
  readonly peerUrl: string;
  /** What its data directory stands in. */
  readonly home: string;
  readonly shim: Shim | undefined;
  /** Its directory is a file system of its own, which can be filled. */
  readonly ownsFileSystem: boolean;
  readonly endpoint: Endpoint;
  process: MemberProcess;
  /** What the processes before `process` have logged. */
  earlierLog: string;
  id: bigint;
}

export class ChaosCluster {
  readonly members: ChaosMember[] = [];
  readonly rules = new LinkRules();
  readonly hasShim: boolean;
  readonly #directory: string;
  readonly #proxies: PeerProxy[] = [];
  readonly #mounts: string[] = [];

  private constructor(directory: string, hasShim: boolean) {
    this.#directory = directory;
    this.hasShim = hasShim;
  }

  static async start(size: number): Promise<ChaosCluster> {
    const directory = await mkdtemp(join(tmpdir(), "quorate-chaos-"));
    const library = await buildShim(directory);
    const cluster = new ChaosCluster(directory, library !== undefined);
    try {
      await cluster.#prepare(size, library);
      await Promise.all(cluster.members.map((member) => member.process.start()));
      await cluster.#learnIds();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  member(name: string): ChaosMember {
    return this.members.find((each) => each.name === name) as ChaosMember;
  }

  others(member: ChaosMember): ChaosMember[] {
    return this.members.filter((each) => each !== member);
  }

  /** The member that most others call the leader, asked for at most 10 s. */
  async leader(): Promise<ChaosMember> {
    const untilMs = performance.now() + 10_000;
    while (performance.now() < untilMs) {
      for (const member of this.members) {
        const status = await member.endpoint.kv.status().catch(() => undefined);
        if (status !== undefined && status.leader === member.id) {
          return member;
        }
      }
      await sleep(50);
    }
    throw new Error("no member says that it leads");
  }

  /** Removes a stopped member from the cluster and adds it again with nothing on its disk. */
  async replace(member: ChaosMember): Promise<void> {
    const helper = this.others(member)[0] as ChaosMember;
    await eventually(() =>
      helper.endpoint.kv.call(
        "/etcdserverpb.Cluster/MemberRemove",
        MemberRemoveRequest,
        MemberRemoveResponse,
        { id: member.id },
        callMs,
      ),
    );
    const reply = await eventually(() =>
      helper.endpoint.kv.call(
        "/etcdserverpb.Cluster/MemberAdd",
        MemberAddRequest,
        MemberAddResponse,
        { peerUrls: [member.peerUrl], isLearner: false },
        callMs,
      ),
    );
    member.id = reply.member?.id ?? 0n;
    this.rules.register(member.id, member.name);
    const { options } = member.process;
    await rm(options.dataDirectory, { recursive: true, force: true });
    const flags = [
      ...options.flags.filter((flag) => !flag.startsWith("--initial-cluster-state")),
      "--initial-cluster-state=existing",
    ];
    member.earlierLog += member.process.log;
    member.process = new MemberProcess({ ...options, flags });
    await member.process.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.process.stop("SIGKILL")));
    for (const member of this.members) {
      member.endpoint.close();
    }
    await Promise.all(this.#proxies.map((proxy) => proxy.close()));
    for (const mount of this.#mounts) {
      await run("umount", [mount]);
    }
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #prepare(size: number, library: string | undefined): Promise<void> {
    const ports = await freePorts(size * 3);
    const port = (kind: number, i: number): number => ports[kind * size + i] as number;
    const names = Array.from({ length: size }, (_, i) => `node${i + 1}`);
    const urls = names.map((_, i) => `http://127.0.0.1:${port(2, i)}`);
    const initial = names.map((name, i) => `${name}=${urls[i]}`).join(",");
    for (const [i, name] of names.entries()) {
      const [clientPort, peerPort] = [port(0, i), port(1, i)];
      const proxy = await PeerProxy.listen(port(2, i), name, peerPort, this.rules);
      this.#proxies.push(proxy);
      const home = join(this.#directory, name);
      await mkdir(home);
      const ownsFileSystem = i === size - 1 && (await this.#mount(home));
      const dataDirectory = join(home, "data");
      const shim =
        library === undefined
          ? undefined
          : new Shim(library, dataDirectory, join(this.#directory, name));
      const process = new MemberProcess({
        name,
        clientPort,
        peerPort,
        dataDirectory,
        flags: [
          `--initial-advertise-peer-urls=${urls[i]}`,
          `--initial-cluster=${initial}`,
          ...clusterFlags,
        ],
        environment: shim?.environment,
      });
      this.members.push({
        name,
        peerUrl: urls[i] as string,
        home,
        shim,
        ownsFileSystem,
        endpoint: new Endpoint(name, `127.0.0.1:${clientPort}`),
        process,
        earlierLog: "",
        id: 0n,
      });
    }
  }

  /** A small file system in memory; false when that is not ours to make. */
  async #mount(directory: string): Promise<boolean> {
    try {
      await run("mount", ["-t", "tmpfs", "-o", `size=${tmpfsBytes}`, "tmpfs", directory]);
      this.#mounts.push(directory);
      return true;
    } catch {
      return false;
    }
  }

  async #learnIds(): Promise<void> {
    const [first] = this.members;
    const reply = await eventually(async () => {
      const list = await (first as ChaosMember).endpoint.kv.call(
        "/etcdserverpb.Cluster/MemberList",
        MemberListRequest,
        MemberListResponse,
        { linearizable: true },
        callMs,
      );
      if (list.members.some((each) => each.name === "")) {
        throw new Error("no leader has named all members yet");
      }
      return list;
    });
    for (const { id, name } of reply.members) {
      this.member(name).id = id;
      this.rules.register(id, name);
    }
  }
}

/** Repeats what is refused only for now, for 20 s. */
export async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  const untilMs = performance.now() + 20_000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const passing =
        /unhealthy|not enough started|leader changed|no leader|timed out|UNAVAILABLE|DEADLINE/;
      if (!passing.test(String(error)) || performance.now() > untilMs) {
        throw error;
      }
      await sleep(100);
    }
  }
}
