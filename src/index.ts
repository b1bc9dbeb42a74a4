// quorate: the client. `import { Quorate } from "quorate"`; see sdk/index.ts for how it is used.
//
// Also exported: every error class (client/), codecs, and the recipes. `quorate/client` is the
// client on the level of the API's messages.

export {
  type Balancing,
  type CallOptions,
  type TlsOptions,
  type UserOptions,
} from "./client/index.ts";
export * from "./client/errors.ts";
export * from "./recipes/index.ts";
export * from "./sdk/index.ts";
