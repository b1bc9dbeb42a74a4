// All errors that calls fail with.

export * from "./client-error.ts";
export * from "./generated/errors.ts";
