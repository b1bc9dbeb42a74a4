// Free TCP ports on loopback for tests.

export { freePorts } from "../../src/testing/free-ports.ts";
