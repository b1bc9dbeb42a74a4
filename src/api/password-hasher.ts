// bcrypt in a thread of its own: a hash takes some tens of milliseconds of a processor, which
// neither the event loop nor the pool that writes to disk may lend. One at a time, and a bounded
// queue: whoever floods the server with passwords waits behind himself.

import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import { QuorateError } from "../base/index.ts";

/** Hashes that may wait; more are refused. */
const waitingMax = 64;
/** 2^10 rounds, as in etcd. */
export const bcryptCostDefault = 10;
/** bcrypt looks at no more. */
export const passwordBytesMax = 72;

export interface PasswordHasher {
  /** The bcrypt hash of a password of 1 to 72 bytes, as text. Rejects with tooManyRequests. */
  hash(password: string): Promise<string>;
  /** `isWanted` is asked before the work begins; nobody waits for the answer when it is false. */
  compare(password: string, hash: string, isWanted: () => boolean): Promise<boolean>;
  close(): void;
}

type Work =
  | { readonly kind: "hash"; readonly password: string; readonly cost: number }
  | { readonly kind: "compare"; readonly password: string; readonly hash: string };

interface Job {
  readonly work: Work;
  readonly isWanted: () => boolean;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** The worker's program. It is text because a module of its own would have to be found by path. */
const program = `
const { parentPort, workerData } = require("node:worker_threads");
const bcrypt = require(workerData);
parentPort.on("message", ({ kind, password, hash, cost }) => {
  try {
    const value =
      kind === "hash" ? bcrypt.hashSync(password, cost) : bcrypt.compareSync(password, hash);
    parentPort.postMessage(value);
  } catch {
    parentPort.postMessage(false);
  }
});
`;

export class BcryptHasher implements PasswordHasher {
  readonly #cost: number;
  readonly #waiting: Job[] = [];
  #worker: Worker | undefined;
  #running: Job | undefined;

  /** `cost` is 4 to 31: 2^cost rounds. */
  constructor(cost: number) {
    this.#cost = cost;
  }

  async hash(password: string): Promise<string> {
    const work = { kind: "hash", password, cost: this.#cost } as const;
    const value = await this.#add(work, () => true);
    if (typeof value !== "string") {
      throw new Error("the password could not be hashed");
    }
    return value;
  }

  async compare(password: string, hash: string, isWanted: () => boolean): Promise<boolean> {
    return (await this.#add({ kind: "compare", password, hash }, isWanted)) === true;
  }

  close(): void {
    this.#failAll(new QuorateError("stopped"));
    void this.#worker?.terminate();
    this.#worker = undefined;
  }

  #add(work: Work, isWanted: () => boolean): Promise<unknown> {
    if (this.#waiting.length >= waitingMax) {
      return Promise.reject(new QuorateError("tooManyRequests"));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ work, isWanted, resolve, reject });
      this.#next();
    });
  }

  #next(): void {
    while (this.#running === undefined) {
      const job = this.#waiting.shift();
      if (job === undefined) {
        return;
      }
      if (job.isWanted()) {
        this.#running = job;
        this.#worker ??= this.#start();
        this.#worker.postMessage(job.work);
      } else {
        job.reject(new QuorateError("requestCanceled"));
      }
    }
  }

  #start(): Worker {
    const bcrypt = createRequire(import.meta.url).resolve("bcryptjs");
    const worker = new Worker(program, { eval: true, workerData: bcrypt });
    // It holds no process: whoever waits for a hash has a connection open.
    worker.unref();
    worker.on("message", (value: unknown) => {
      const job = this.#running;
      this.#running = undefined;
      job?.resolve(value);
      this.#next();
    });
    worker.on("error", (error) => {
      this.#worker = undefined;
      this.#failAll(error);
    });
    return worker;
  }

  #failAll(error: Error): void {
    const jobs = [...(this.#running === undefined ? [] : [this.#running]), ...this.#waiting];
    this.#running = undefined;
    this.#waiting.length = 0;
    for (const job of jobs) {
      job.reject(error);
    }
  }
}
