export { changeConf, confFault, isJoint, isLearner, isVoter, membersOf } from "./confchange.ts";
export { bootstrapState, emptyConf, joinState, raftLimitsDefault } from "./config.ts";
export type { RaftConfig, RaftInitialState } from "./config.ts";
export type * from "./message.ts";
export { RaftNode } from "./node.ts";
export type * from "./ready.ts";
