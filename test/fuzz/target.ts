// What is fuzzed, and the rules for all of it: an input gives a result or one of the errors that
// the contract names, within bounded time and memory.

import { setImmediate } from "node:timers/promises";
import type fc from "fast-check";
import { expect } from "./expect.ts";

/** CPU time that one input may take, milliseconds; inputs are some kilobytes at most. */
const cpuMsMax = 1_500;
/** Memory that one input may hold on to while it is read, bytes. */
const memoryBytesMax = 256 * 1024 * 1024;

export interface Target {
  readonly name: string;
  /** Inputs tried by default. */
  readonly runs: number;
  readonly property: fc.IProperty<unknown> | fc.IAsyncProperty<unknown>;
}

type ErrorClass = abstract new (...args: never[]) => Error;

/** What `work` gives; undefined when it fails as it may. Anything else is a bug and thrown. */
export function bounded<T>(allowed: readonly ErrorClass[], work: () => T): T | undefined {
  const before = measure();
  try {
    return work();
  } catch (error) {
    rethrowUnless(allowed, error);
    return undefined;
  } finally {
    before.check();
  }
}

export async function boundedAsync<T>(
  allowed: readonly ErrorClass[],
  work: () => Promise<T>,
): Promise<T | undefined> {
  // Lets timers have their turn: what is awaited here may all be in memory.
  await setImmediate();
  const before = measure();
  try {
    return await work();
  } catch (error) {
    rethrowUnless(allowed, error);
    return undefined;
  } finally {
    before.check();
  }
}

function rethrowUnless(allowed: readonly ErrorClass[], error: unknown): void {
  if (!allowed.some((kind) => error instanceof kind)) {
    throw error;
  }
}

function measure(): { readonly check: () => void } {
  const cpu = process.cpuUsage();
  const { arrayBuffers } = process.memoryUsage();
  return {
    check: () => {
      const { user, system } = process.cpuUsage(cpu);
      expect((user + system) / 1000 <= cpuMsMax, "an input takes too long");
      const grown = process.memoryUsage().arrayBuffers - arrayBuffers;
      expect(grown <= memoryBytesMax, "an input takes too much memory");
    },
  };
}
