export { createWal, openWal } from "./open-wal.ts";
export type { WalBeginning, WalOptions } from "./open-wal.ts";
