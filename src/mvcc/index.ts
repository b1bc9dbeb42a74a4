// mvcc: the door of this folder.

export { MissingRecords } from "./contract.ts";
export { WatchHub, type WatchHubOptions, type WatchHubStats } from "./watch-hub.ts";
