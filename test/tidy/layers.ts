// The layering table of the design as data: who may import whom, which packages, which doors.

/** One folder of src/ and what it may reach. */
export interface Layer {
  readonly level: number;
  /** Folders whose index.ts it may import. */
  readonly folders: readonly string[];
  /** Packages from outside; "node" stands for every `node:` module. */
  readonly packages: readonly string[];
}

const state = ["base", "wire", "mvcc", "lease", "auth", "membership"] as const;
const belowNode = [...state, "etcd-snapshot", "raft", "storage", "apply", "peer"] as const;

export const layers: Readonly<Record<string, Layer>> = {
  base: { level: 0, folders: [], packages: [] },
  wire: { level: 1, folders: ["base"], packages: [] },
  raft: { level: 1, folders: ["base"], packages: [] },
  storage: {
    level: 1,
    folders: ["base"],
    packages: ["node", "level", "classic-level", "memory-level", "abstract-level"],
  },
  mvcc: { level: 2, folders: ["base"], packages: [] },
  lease: { level: 2, folders: ["base", "wire"], packages: [] },
  auth: { level: 2, folders: ["base", "wire"], packages: [] },
  membership: { level: 2, folders: ["base", "wire"], packages: [] },
  peer: { level: 2, folders: ["base", "wire"], packages: ["node"] },
  grpc: { level: 2, folders: ["base"], packages: ["node", "@grpc/grpc-js"] },
  client: { level: 2, folders: ["base", "wire"], packages: ["node", "@grpc/grpc-js"] },
  sdk: { level: 3, folders: ["base", "wire", "client"], packages: ["node"] },
  recipes: {
    level: 4,
    folders: ["base", "wire", "client", "sdk"],
    packages: ["node", "@grpc/grpc-js"],
  },
  "etcd-snapshot": { level: 2, folders: ["base", "wire"], packages: ["node"] },
  apply: { level: 3, folders: state, packages: [] },
  node: { level: 4, folders: belowNode, packages: ["node"] },
  api: { level: 5, folders: ["base", "wire", "grpc"], packages: ["node"] },
  http: { level: 5, folders: ["base", "wire"], packages: ["node"] },
  tls: { level: 2, folders: ["base"], packages: ["node"] },
  server: {
    level: 6,
    folders: ["base", "peer", "storage", "grpc", "tls", "node", "api", "http"],
    packages: ["node"],
  },
  testing: { level: 7, folders: ["base", "peer", "storage", "server"], packages: ["node"] },
  cli: {
    level: 7,
    folders: [...belowNode, "node", "grpc", "tls", "api", "http", "client", "server"],
    packages: ["node", "pino", "yaml", "yargs"],
  },
};

/** quoratectl is a client like any other: what it may import inside src/. */
export const controlFolders: readonly string[] = ["base", "wire", "client"];

/** Folders that must give the same result on every machine. */
export const deterministicZone: readonly string[] = [
  "base",
  "wire",
  "raft",
  "mvcc",
  "lease",
  "auth",
  "membership",
  "apply",
];

/** Contracts that any folder at the same level or above may import types from. */
export const typeDoors: readonly string[] = [
  "storage/engine.ts",
  "storage/wal-contract.ts",
  "mvcc/contract.ts",
  "mvcc/watch-contract.ts",
  "grpc/contract.ts",
  "node/handle.ts",
  "apply/command.ts",
  "peer/contract.ts",
];

/** What the deterministic zone may not say; tried on code without comments and strings. */
export const impure: readonly (readonly [RegExp, string])[] = [
  [/\basync\b/, "async"],
  [/\bawait\b/, "await"],
  [/\bPromise\b/, "Promise"],
  [/\bDate\b/, "Date"],
  [/\bMath\s*\.\s*random\b/, "Math.random"],
  [/\b(?:set|clear)(?:Timeout|Interval|Immediate)\b/, "timers"],
  [/\bqueueMicrotask\b/, "queueMicrotask"],
  [/(?<![.\w])process\s*\./, "process"],
  [/(?<![.\w])Buffer\b/, "Buffer"],
  [/(?<![.\w])performance\b/, "performance"],
  [/(?<![.\w])crypto\b/, "crypto"],
  [/(?<![.\w])globalThis\b/, "globalThis"],
];
