// base: what every layer may use and nothing else may be imported by it.
//
// Rules: no imports from outside this folder, no `node:*`, no clock, no randomness but Rng.
// Start with ids.ts (which numbers are counters and which are identities), then errors.ts (every
// error a client can see) and limits.ts (every bound).

export * from "./assert.ts";
export * from "./bytes.ts";
export * from "./caller.ts";
export * from "./config-error.ts";
export * from "./crc32c.ts";
export * from "./environment.ts";
export * from "./errors.ts";
export * from "./ids.ts";
export * from "./limits.ts";
export * from "./log-entry.ts";
export * from "./metrics.ts";
