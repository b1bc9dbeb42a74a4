// mvcc: the door of this folder.

export { MissingRecords } from "./contract.ts";
export { Recovery } from "./recovery.ts";
export { groupRange, storeMetaKey } from "./record-keys.ts";
export { storeConfigDefault, type StoreConfig } from "./state.ts";
export { WatchHub, type WatchHubOptions, type WatchHubStats } from "./watch-hub.ts";
