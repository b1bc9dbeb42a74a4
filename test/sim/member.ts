// One member of the simulated cluster over all its lives: its disk stays, its processes come and
// go. A life starts by the steps of src/node/open-member.ts.

import { MetricsRegistry, SeededRng } from "../../src/base/index.ts";
import type { ClusterId, Logger, MemberId } from "../../src/base/index.ts";
import { QuorateNode, openState } from "../../src/node/index.ts";
import type { NodeConfig, NodeStatus } from "../../src/node/index.ts";
import { Device } from "./device.ts";
import type { EffectPoint } from "./device.ts";
import type { VirtualDisk } from "./disk.ts";
import type { SimNetwork } from "./network.ts";
import type { SimOptions } from "./options.ts";
import { SimProcess } from "./process.ts";
import type { ClockFault } from "./process.ts";
import type { Scheduler } from "./scheduler.ts";

export interface MemberSurroundings {
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  readonly options: SimOptions;
  readonly clusterId: ClusterId;
  readonly logger: (member: SimMember) => Logger;
  /** An effect of a member's disk begins or has become durable. */
  onPoint(member: SimMember, point: EffectPoint): void;
  /** The node ended by itself. */
  onStopped(member: SimMember, error: unknown): void;
  /** The node could not be started. */
  onRefused(member: SimMember, error: unknown): void;
  onStarted(member: SimMember): void;
}

export class SimMember {
  readonly id: MemberId;
  readonly position: number;
  readonly disk: VirtualDisk;
  readonly #around: MemberSurroundings;
  #lives = 0;
  #process: SimProcess | undefined;
  #device: Device | undefined;
  #node: QuorateNode | undefined;
  /** Its disk cannot be trusted any more: it stays away. */
  isLost = false;
  /** No longer part of the cluster, and knows it. */
  isRemoved = false;
  /** A fault was put into this life's disk: the node may stop because of it. */
  mayFail = false;
  /** Something on its disk was damaged: nothing is to be expected of it. */
  isSuspect = false;
  clockFault: ClockFault = { rate: 1, wallOffsetMs: 0 };

  constructor(id: MemberId, position: number, disk: VirtualDisk, around: MemberSurroundings) {
    this.id = id;
    this.position = position;
    this.disk = disk;
    this.#around = around;
  }

  get name(): string {
    return `m${this.position + 1}`;
  }

  get lives(): number {
    return this.#lives;
  }

  get process(): SimProcess | undefined {
    return this.#process;
  }

  get device(): Device | undefined {
    return this.#device;
  }

  /** Undefined while it is down or on its way up. */
  get node(): QuorateNode | undefined {
    return this.#node;
  }

  /** Its disk can be relied on. */
  get isSound(): boolean {
    return !this.isLost && !this.isSuspect;
  }

  get isUp(): boolean {
    return this.#process !== undefined;
  }

  status(): NodeStatus | undefined {
    return this.#node?.status();
  }

  start(): void {
    const { scheduler, options } = this.#around;
    this.#lives++;
    this.mayFail = this.isSuspect;
    const process = new SimProcess(scheduler, this.clockFault);
    const stream = 1000 * this.#lives + 10 * this.position;
    const device = new Device(
      scheduler,
      process,
      new SeededRng(options.seed, stream + 1),
      (point) => {
        if (this.#process === process) {
          this.#around.onPoint(this, point);
        }
      },
      options.readTailMs,
    );
    this.#process = process;
    this.#device = device;
    this.#open(process, device, new SeededRng(options.seed, stream + 2)).catch((error: unknown) => {
      if (this.#process === process) {
        this.#around.onRefused(this, error);
      }
    });
  }

  async #open(process: SimProcess, device: Device, rng: SeededRng): Promise<void> {
    const { network, options, clusterId } = this.#around;
    const disk = await this.disk.open(device);
    const config: NodeConfig = {
      name: this.name,
      clusterId,
      memberId: this.id,
      clientUrls: [`http://${this.name}:2379`],
      heartbeatIntervalMs: options.heartbeatIntervalMs,
      electionTimeoutMs: options.electionTimeoutMs,
      snapshotCount: options.snapshotCount,
      catchUpEntries: options.catchUpEntries,
      requestSizeBytesMax: 1024 * 1024,
      quotaBytes: 1024 * 1024 * 1024,
      memoryBudgetBytes: options.memoryBudgetBytes,
      messageSizeBytesMax: options.messageSizeBytesMax,
      progressNotifyIntervalMs: options.progressNotifyIntervalMs,
      learnersMax: 1,
      strictReconfiguration: true,
      electionTickAdvance: options.electionTickAdvance,
      store: {
        pageSizeBytesMax: options.pageSizeBytesMax,
        blockSizeBytesTarget: options.blockSizeBytesTarget,
        groupPagesMax: options.groupPagesMax,
        redoSizeBytesMax: options.redoSizeBytesMax,
      },
    };
    const opened = await openState(disk.engine, { ...config, rng });
    const first = disk.recovered.snapshot?.index ?? 0;
    const last = disk.recovered.entries.at(-1)?.index ?? first;
    if (opened.applied.index < first || opened.applied.index > last) {
      throw new Error(
        `the state stands at ${opened.applied.index}, the log goes from ${first} to ${last}`,
      );
    }
    const logger = this.#around.logger(this);
    const devices = {
      clock: process.clock,
      rng,
      logger,
      disk,
      network: network.attach(this.id, process),
    };
    const node = new QuorateNode(config, devices, opened, new MetricsRegistry(), (error) => {
      if (this.#process === process) {
        this.#around.onStopped(this, error);
      }
    });
    await node.start();
    if (this.#process === process) {
      this.#node = node;
      this.#around.onStarted(this);
    }
  }

  /** The process ends between two instructions. */
  kill(rng: SeededRng, power: boolean): void {
    this.#process?.kill();
    this.#process = undefined;
    this.#node = undefined;
    this.#device = undefined;
    this.disk.crash(rng, power);
  }
}
