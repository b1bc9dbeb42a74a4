export { createWal, openWal } from "./open-wal.ts";
export type { WalBeginning, WalOptions } from "./open-wal.ts";
export { createLevelEngine, openLevelEngine } from "./level-engine.ts";
export { createMemoryEngine } from "./memory-engine.ts";
