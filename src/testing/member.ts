// One member of a test cluster: in memory, on fixed ports, to be killed and started again.

import type { Logger } from "../base/index.ts";
import { configOf, type MemberServer, type NodeStatus, startServer } from "../server/index.ts";
import { MemoryDisk } from "../storage/index.ts";
import type { Links } from "./links.ts";

/** What is the same for all members. */
export interface TestNodeOptions {
  /** 40 unless told. */
  readonly heartbeatIntervalMs?: number | undefined;
  /** 400 unless told: how long a cluster is without a leader after a kill, or twice that. */
  readonly electionTimeoutMs?: number | undefined;
  /** Bytes at which writes are refused; no limit unless told. */
  readonly quotaBytes?: number | undefined;
  /** In pino's shape; silent unless given. */
  readonly logger?: Logger | undefined;
}

/** Where a member is, and the cluster that it begins with. */
export interface MemberPlace {
  readonly name: string;
  readonly clientPort: number;
  readonly members: Readonly<Record<string, string>>;
}

export class TestMember implements AsyncDisposable {
  readonly name: string;
  /** "http://127.0.0.1:<port>", the same after every restart. */
  readonly clientUrl: string;
  readonly #place: MemberPlace;
  readonly #options: TestNodeOptions;
  readonly #logger: Logger;
  readonly #links: Links;
  readonly #disk = new MemoryDisk();
  #server: MemberServer | undefined;

  /** Made by startTestCluster and startTestNode. */
  constructor(place: MemberPlace, options: TestNodeOptions, logger: Logger, links: Links) {
    this.name = place.name;
    this.clientUrl = `http://127.0.0.1:${place.clientPort}`;
    this.#place = place;
    this.#options = options;
    this.#logger = logger;
    this.#links = links;
  }

  /** "127.0.0.1:<port>", for clients that want no scheme. */
  get endpoint(): string {
    return this.clientUrl.slice("http://".length);
  }

  get running(): boolean {
    return this.#server !== undefined;
  }

  /** What the member knows now. Throws when it is not running. */
  status(): NodeStatus {
    if (this.#server === undefined) {
      throw new Error(`${this.name} is not running`);
    }
    return this.#server.status();
  }

  /** Starts, or starts again on what its log held when it ended; resolves once it serves. */
  async start(): Promise<void> {
    if (this.#server !== undefined) {
      throw new Error(`${this.name} is running`);
    }
    const { name, members } = this.#place;
    const config = configOf({
      name,
      memory: true,
      clientUrls: this.clientUrl,
      peerUrls: members[name],
      cluster: { members },
      heartbeatIntervalMs: this.#options.heartbeatIntervalMs ?? 40,
      electionTimeoutMs: this.#options.electionTimeoutMs ?? 400,
      quotaBytes: this.#options.quotaBytes ?? Number.POSITIVE_INFINITY,
    });
    this.#server = await startServer(config, this.#logger, {
      disk: this.#disk,
      wrapTransport: (transport) => this.#links.transportOf(name, transport),
    });
  }

  /** Ends at once, as kill -9 ends a process: connections break, nothing is handed over. */
  async kill(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server !== undefined) {
      this.#disk.sever();
      await server.kill();
    }
  }

  /** Ends in order: leadership is handed over and calls may end. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await server?.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}
