// recipes: what people build on a store, each in a few lines for its user.
//
// What it is. Each recipe stands in files of its own, on the store of sdk/ and nothing else, and
// opens with what it promises and what it costs:
//
//   locks.ts, elections.ts   one holder at a time, with fencing tokens (both on contender.ts)
//   barriers.ts              a gate for many, and one that opens when enough have come
//   cache.ts                 a copy of a range, read without a round trip
//   config.ts, flags.ts      a typed view of a prefix, features switched on for some (on cache.ts)
//   discovery.ts             instances register, clients follow; grpc-resolver.ts for grpc-js
//   sessions.ts              with a time to live; express-sessions.ts, fastify-sessions.ts
//   queue.ts, topic.ts       work for one of many, messages for all (on once-writer.ts)
//   rate-limiter.ts          units for a time; rate-limit-headers.ts for HTTP servers
//   leaderboard.ts           members in the order of their scores
//
// Rules:
// - Recipes use nothing but the API of etcd, so they work on etcd too, and where etcd's own
//   packages have the same recipe they share its keys.
// - A step is such that doing it twice is doing it once; so what passes (a member that does not
//   answer, a change of leader) is waited out (patience.ts), and nothing else is tried again.
//   What cannot be made so (adding, pushing) goes through once-writer.ts.
// - Whatever is held (locks, leaderships, registrations) says by the clock whether it is still
//   held, tells when it is lost, and is given back by `await using`.
// - A recipe's promise has a test on three members that are killed and divided (test/recipes).
//
// Limits: clocks that run at different speeds endanger "one at a time"; fencing tokens do not rest
// on clocks.

export { Barrier, enterTogether, Together } from "./barriers.ts";
export {
  Cache,
  type CacheChange,
  type CacheListener,
  type CacheOptions,
  type Freshness,
} from "./cache.ts";
export {
  type ChangeConfigOptions,
  type ConfigChange,
  ConfigDefinition,
  type ConfigIssue,
  defineConfig,
  InvalidConfigError,
  LiveConfig,
  type OpenConfigOptions,
} from "./config.ts";
export { type AnyStore, type ContendOptions, HoldLostError } from "./contender.ts";
export {
  follow,
  type Instance,
  Instances,
  register,
  type RegisterOptions,
  Registration,
} from "./discovery.ts";
export { type CampaignOptions, Election, type Leader, Leadership } from "./elections.ts";
export { expressSessionStore } from "./express-sessions.ts";
export { type FastifySessionStore, fastifySessionStore } from "./fastify-sessions.ts";
export {
  FeatureFlags,
  type FeatureFlagsOptions,
  type Flag,
  type FlagChange,
  type FlagSource,
  rolloutShare,
} from "./flags.ts";
export { type GrpcResolverOptions, registerGrpcResolver } from "./grpc-resolver.ts";
export {
  Leaderboard,
  type LeaderboardCall,
  type LeaderboardOptions,
  type RankedScore,
  type Score,
} from "./leaderboard.ts";
export { acquireLock, Lock, type LockOptions, tryLock, withLock } from "./locks.ts";
export {
  type PushOptions,
  Queue,
  QueueItem,
  type QueueOptions,
  type TakeOptions,
} from "./queue.ts";
export { type Middleware, rateLimit, type RateLimitOptions } from "./rate-limit-headers.ts";
export {
  type RateLimitAnswer,
  RateLimiter,
  type RateLimiterOptions,
  type TakeUnitsOptions,
} from "./rate-limiter.ts";
export { Sessions, type SessionsOptions } from "./sessions.ts";
export {
  type Message,
  type PublishOptions,
  type SubscribeOptions,
  Topic,
  type TopicOptions,
} from "./topic.ts";
