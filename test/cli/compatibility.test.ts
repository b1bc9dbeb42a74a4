// docs/compatibility.md says what the code does: every flag of the table, every call of the API.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { type Rpc, rpcTable } from "../../src/api/index.ts";
import { grpcStatus } from "../../src/base/index.ts";
import { flagTable, legacyNames } from "../../src/cli/flags/index.ts";
import { parseArguments } from "../../src/cli/index.ts";
import { readGateway } from "../../src/cli/tcp-gateway.ts";
import { featureGates, startNode } from "../../src/server/index.ts";
import { RpcError } from "../../src/grpc/index.ts";
import { makeWorld, type World } from "../api/harness.ts";

const page = readFileSync(
  fileURLToPath(new URL("../../docs/compatibility.md", import.meta.url)),
  "utf8",
);

const code = (text: string): string => (text === "" ? "" : `\`${text}\``);

/** The cells of rows whose first cell matches. */
function rows(first: RegExp): string[][] {
  return page
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .map((line) => line.slice(2, -2).split(" | "))
    .filter(([cell = ""]) => first.test(cell))
    .map((cells) => cells.map((cell) => cell.trim()));
}

function isUnknownMethod(error: unknown): boolean {
  return (
    error instanceof RpcError &&
    error.status === grpcStatus.unimplemented &&
    error.message.startsWith("unknown method")
  );
}

/** Whether a method has a handler: an unknown one says so at once, whatever it is sent. */
async function isServed(world: World, { service, method, kind }: Rpc): Promise<boolean> {
  const path = `/${service}/${method}`;
  if (kind !== "unary") {
    return !isUnknownMethod(world.stream(path).ended);
  }
  const answer = world.call(path, new Uint8Array()).then(
    () => true,
    (error: unknown) => !isUnknownMethod(error),
  );
  const waits = new Promise<true>((resolve) => setImmediate(() => resolve(true)));
  return Promise.race([answer, waits]);
}

describe("docs/compatibility.md", () => {
  it("has every flag, with its default, status and words", () => {
    const documented = rows(/^`--/).map((cells) => cells.join(" | "));
    const actual = flagTable.map((flag) =>
      [code(`--${flag.name}`), code(flag.default), flag.status, flag.doc].join(" | "),
    );
    expect(documented).toEqual(actual);
    for (const name of legacyNames) {
      expect(page).toContain(`\`${name}\``);
    }
  });

  it("has every feature gate, as it is when nothing is said", () => {
    const names = featureGates.map(({ name }) => name);
    expect(rows(new RegExp(`^\`(?:${names.join("|")})\`$`))).toEqual(
      featureGates.map((gate) => [
        code(gate.name),
        gate.default ? "yes" : "no",
        gate.works ? "yes" : "no",
        gate.doc,
      ]),
    );
  });

  it("has the commands of etcd, and tells which there are", async () => {
    const actual = await Promise.all(
      ["gateway start", "grpc-proxy start"].map(async (command) => {
        const [first = "", ...rest] = command.split(" ");
        const config = first === "gateway" ? await readGateway(rest) : undefined;
        const isFlag = (): unknown => parseArguments([first, ...rest]);
        expect(isFlag).toThrow(`"${first}" is not a valid flag`);
        return [code(command), config === undefined ? "left out" : "works"];
      }),
    );
    expect(rows(/^`[a-z-]+ start`$/).map((cells) => cells.slice(0, 2))).toEqual(actual);
  });

  it("has the paths of HTTP, and those that are left out", async () => {
    await using node = await startNode({ memory: true });
    const statusOf = async (path: string): Promise<number> =>
      (await fetch(`${node.clientUrls[0]}${path}`)).status;
    const paths = rows(/^`\//).flatMap(([cell = ""]) => [...cell.matchAll(/`(\/[^`]*)`/g)]);
    const named = paths.map(([, path = ""]) => path.replace("...", "kv/range"));
    const statuses = await Promise.all(
      named.map(async (path) => [path, (await statusOf(path)) === 404]),
    );
    expect(statuses.filter(([, isAbsent]) => isAbsent).map(([path]) => path)).toEqual([
      "/debug/pprof/",
      "/debug/requests",
      "/debug/events",
    ]);
    expect(named).toContain("/readyz");
  });

  it("has every call, and tells which are served", async () => {
    const world = makeWorld();
    const actual = await Promise.all(
      rpcTable.map(async (rpc) => [
        code(`${rpc.service}/${rpc.method}`),
        (await isServed(world, rpc)) ? "served" : "not yet",
      ]),
    );
    expect(rows(/^`[\w.]+\/\w+`$/).map((cells) => cells.slice(0, 2))).toEqual(actual);
  });
});
