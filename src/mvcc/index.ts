// mvcc: the door of this folder.

export { MissingRecords } from "./contract.ts";
