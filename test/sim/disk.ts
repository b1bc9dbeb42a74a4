// One member's disk: its log, its states and the pointer to the one in use. It outlives processes;
// `open` gives one life of a process what openDataDirectory would.

import { CorruptionError, assert } from "../../src/base/index.ts";
import type { Entry, HardState, Rng, SnapshotMeta } from "../../src/base/index.ts";
import type { NodeDisk } from "../../src/node/index.ts";
import { fillFromSnapshot } from "../../src/storage/index.ts";
import type {
  BatchOperation,
  Engine,
  ReceivedState,
  WalIdentity,
  WalRecovered,
} from "../../src/storage/index.ts";
import type { Device } from "./device.ts";
import { DurableLog } from "./durable-log.ts";
import { EngineFiles, VirtualEngine } from "./virtual-engine.ts";
import { createWalFiles, openVirtualWal, replayFiles } from "./virtual-wal.ts";
import type { VirtualWal, WalFiles } from "./virtual-wal.ts";

export interface DiskBeginning {
  readonly identity: WalIdentity;
  readonly hardState: HardState;
  /** Undefined for a member that joins with nothing. */
  readonly snapshot: SnapshotMeta | undefined;
  readonly founding: readonly BatchOperation[];
  readonly segmentBytes: number;
  readonly salt: number;
}

export class VirtualDisk {
  readonly #wal: WalFiles;
  #state = new EngineFiles();
  /** Set when the state in use was received: the log must know of it before it is used. */
  #installed: SnapshotMeta | undefined;
  #device: Device | undefined;
  /** What was seen of damage and repair, for the coverage marks. */
  tornTailsCut = 0;
  batchesLost = 0;
  installsFinished = 0;
  statesInstalled = 0;

  constructor(beginning: DiskBeginning) {
    const { identity, hardState, snapshot, segmentBytes, salt } = beginning;
    this.#wal = createWalFiles(identity, hardState, snapshot, segmentBytes, salt);
    this.#state.write(beginning.founding, true);
  }

  /** The log as it stands on disk now. */
  get durable(): DurableLog {
    return this.#wal.durable;
  }

  onWrote(hear: (entries: readonly Entry[], before: HardState | undefined) => void): void {
    this.#wal.onWrote = hear;
  }

  /** Where the state in use stood when it was received; 0 when it was not. */
  get installedIndex(): number {
    return this.#installed?.index ?? 0;
  }

  get device(): Device | undefined {
    return this.#device;
  }

  async open(device: Device): Promise<NodeDisk> {
    this.#device = device;
    const { wal, recovered, tornBytes } = await openVirtualWal(this.#wal, device);
    this.tornTailsCut += tornBytes > 0 ? 1 : 0;
    const finished = await this.#finishInstall(wal, recovered);
    return new OpenVirtualDisk(this, wal, finished, new VirtualEngine(this.#state, device), device);
  }

  /** The process is gone; `power`: what no sync covered may be gone too. */
  crash(rng: Rng, power: boolean): void {
    this.#device?.crash();
    this.#device = undefined;
    if (power) {
      this.batchesLost += this.#state.powerCut(rng);
    }
    if (this.logIsReadable()) {
      this.#wal.durable = DurableLog.of(replayFiles(this.#wal).recovered);
    }
  }

  install(files: EngineFiles, meta: SnapshotMeta): void {
    this.#state = files;
    this.#installed = meta;
    this.statesInstalled++;
  }

  /**
   * Flips a bit of the log that is proven durable by later records. Throws nothing; whether the
   * log is refused shows at `open`. False when no place is safe to damage.
   */
  rotLog(rng: Rng): boolean {
    const { segments, lastWrite } = this.#wal;
    const last = segments.find((segment) => segment.sequence === lastWrite.sequence);
    const places = segments.filter((segment) => segment.sequence < lastWrite.sequence);
    const lengths = places.map((segment) => segment.bytes.length);
    if (last !== undefined && lastWrite.offset > 0) {
      places.push(last);
      lengths.push(lastWrite.offset);
    }
    const at = rng.below(Math.max(1, places.length));
    const segment = places[at];
    if (segment === undefined) {
      return false;
    }
    const offset = rng.below(lengths[at] ?? 1);
    segment.bytes[offset] = (segment.bytes[offset] ?? 0) ^ (1 << rng.below(8));
    return true;
  }

  rotState(rng: Rng): boolean {
    return this.#state.rot(rng);
  }

  /** Whether the log could be opened; for judging what damage did. */
  logIsReadable(): boolean {
    try {
      replayFiles(this.#wal);
      return true;
    } catch (error) {
      if (error instanceof CorruptionError) {
        return false;
      }
      throw error;
    }
  }

  /** The rule of data-directory.ts. */
  async #finishInstall(wal: VirtualWal, recovered: WalRecovered): Promise<WalRecovered> {
    const installed = this.#installed;
    if (installed === undefined || installed.index <= (recovered.snapshot?.index ?? 0)) {
      return recovered;
    }
    this.installsFinished++;
    const { hardState, entries } = recovered;
    const raised: HardState = {
      term: installed.term > hardState.term ? installed.term : hardState.term,
      vote: installed.term > hardState.term ? (0n as HardState["vote"]) : hardState.vote,
      commit: installed.index > hardState.commit ? installed.index : hardState.commit,
    };
    await wal.append({ hardState: raised, entries: [], snapshot: installed });
    const at = entries.findIndex((entry) => entry.index === installed.index);
    const matches = entries[at]?.term === installed.term;
    return {
      identity: recovered.identity,
      hardState: raised,
      snapshot: installed,
      entries: matches ? entries.slice(at + 1) : [],
    };
  }
}

class OpenVirtualDisk implements NodeDisk {
  readonly wal: VirtualWal;
  readonly recovered: WalRecovered;
  readonly #disk: VirtualDisk;
  readonly #device: Device;
  #engine: Engine;

  constructor(
    disk: VirtualDisk,
    wal: VirtualWal,
    recovered: WalRecovered,
    engine: Engine,
    device: Device,
  ) {
    this.#disk = disk;
    this.wal = wal;
    this.recovered = recovered;
    this.#engine = engine;
    this.#device = device;
  }

  get engine(): Engine {
    return this.#engine;
  }

  async receive(meta: SnapshotMeta, chunks: AsyncIterable<Uint8Array>): Promise<ReceivedState> {
    const files = new EngineFiles();
    const filling = new VirtualEngine(files, this.#device);
    const { clusterId } = this.recovered.identity;
    await fillFromSnapshot(filling, chunks, { clusterId, meta });
    let used = false;
    return {
      meta,
      install: async () => {
        assert(!used, "a received state is installed once");
        used = true;
        const install = (): void => this.#disk.install(files, meta);
        await this.#device.write("install", {
          whole: install,
          torn: (rng) => (rng.below(2) === 0 ? install() : undefined),
        });
        const old = this.#engine;
        this.#engine = new VirtualEngine(files, this.#device);
        await old.close();
        return this.#engine;
      },
      discard: () => Promise.resolve(),
    };
  }

  async close(): Promise<void> {
    await this.wal.close();
    await this.#engine.close();
  }
}
