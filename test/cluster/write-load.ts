// Writers that remember every acknowledged write, for tests that kill members meanwhile.

import { KvClient } from "../support/kv-client.ts";

/** Writers, each on keys of its own with values that only rise. */
export class WriteLoad {
  /** Highest acknowledged value by key; the store must hold it or a later, unanswered one. */
  readonly acknowledged = new Map<string, number>();
  readonly #attempted = new Map<string, number>();
  readonly #clients: KvClient[];
  readonly #writers: Promise<void>[] = [];
  #running = true;
  #acknowledgedCount = 0;
  #lastAcknowledgedMs = performance.now();
  #longestGapMs = 0;

  constructor(endpoints: readonly string[], writersPerEndpoint: number) {
    this.#clients = endpoints.map((endpoint) => new KvClient(endpoint));
    this.#clients.forEach((client, at) => {
      for (let i = 0; i < writersPerEndpoint; i++) {
        this.#writers.push(this.#write(client, `writer-${at}-${i}`));
      }
    });
  }

  get acknowledgedCount(): number {
    return this.#acknowledgedCount;
  }

  /** Forgets gaps so far. */
  restartGap(): void {
    this.#lastAcknowledgedMs = performance.now();
    this.#longestGapMs = 0;
  }

  /** Longest time without any acknowledged write since `restartGap`, milliseconds. */
  longestGapMs(): number {
    return Math.max(this.#longestGapMs, performance.now() - this.#lastAcknowledgedMs);
  }

  /** Resolves once `count` more writes have been acknowledged. */
  async progress(count: number, withinMs: number): Promise<void> {
    const target = this.#acknowledgedCount + count;
    const untilMs = performance.now() + withinMs;
    while (this.#acknowledgedCount < target) {
      if (performance.now() > untilMs) {
        throw new Error(
          `no progress: ${target - this.#acknowledgedCount} of ${count} writes short`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#writers);
    for (const client of this.#clients) {
      client.close();
    }
  }

  /** What is wrong in what the store holds: acknowledged writes missing, values never written. */
  async problems(client: KvClient): Promise<string[]> {
    const problems: string[] = [];
    const reply = await client.range({
      key: Buffer.from("writer-"),
      rangeEnd: Buffer.from("writer."),
    });
    const found = new Map(
      reply.kvs.map((kv) => [Buffer.from(kv.key).toString(), Number(Buffer.from(kv.value))]),
    );
    for (const [key, value] of this.acknowledged) {
      const stored = found.get(key);
      if (stored === undefined || stored < value) {
        problems.push(`${key}: acknowledged ${value}, stored ${stored ?? "nothing"}`);
      } else if (stored > (this.#attempted.get(key) ?? 0)) {
        problems.push(`${key}: stored ${stored}, which was never written`);
      }
    }
    return problems;
  }

  async #write(client: KvClient, name: string): Promise<void> {
    let epoch = 0;
    for (let round = 1; this.#running; round++) {
      const key = `${name}-${epoch}-${round % 50}`;
      this.#attempted.set(key, round);
      try {
        await client.put(key, String(round), 1_000);
        this.acknowledged.set(key, round);
        this.#onAcknowledged();
      } catch {
        // Its outcome is unknown and may yet show, over later values: leave these keys alone.
        epoch++;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  #onAcknowledged(): void {
    const nowMs = performance.now();
    this.#acknowledgedCount++;
    this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#lastAcknowledgedMs);
    this.#lastAcknowledgedMs = nowMs;
  }
}
