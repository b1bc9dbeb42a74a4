// Mistakes in flags, variables and files: told on one line, after "quorate: ".

export { ConfigError, quoted } from "../base/index.ts";
