#!/usr/bin/env node
// The `quorate` command. CommonJS for one reason: libuv reads the size of its thread pool when the
// pool is first used, and loading an ES module uses it, so in an ES module even the first line is
// too late (measured; docs/decisions/thread-pool.md). WAL writes, LevelDB and password hashing
// share the pool.

const poolThreads = Math.max(16, Number(process.env["UV_THREADPOOL_SIZE"]) || 0);
process.env["UV_THREADPOOL_SIZE"] = String(poolThreads);

void import("./quorate.ts");
