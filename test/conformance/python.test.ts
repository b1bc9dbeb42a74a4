// gRPC's C core and protobuf's own codec (Debian's python3-grpcio and python3-protobuf) against one
// node and three: another HTTP/2, another encoding, none of our code. Where they are not installed
// this is left out, and a line says so; with CI=true they must be there.

import { execFileSync, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { loadSync } from "@grpc/proto-loader";
import { describe, expect, test } from "vitest";
import { freshPrefix, roles, useTargets } from "./targets.ts";

const python = "/usr/bin/python3";
const script = fileURLToPath(new URL("python_client.py", import.meta.url));
const directory = fileURLToPath(new URL("../../proto/", import.meta.url));
const checks = 20;

function installed(): boolean {
  try {
    execFileSync(python, ["-c", "import grpc, google.protobuf"], { stdio: "ignore" });
    return true;
  } catch (error) {
    if (process.env["CI"] === "true") {
      throw new Error("python3-grpcio and python3-protobuf must be installed under CI", {
        cause: error,
      });
    }
    console.log("python3-grpcio is not installed: nothing was checked with it");
    return false;
  }
}

/** proto/ as a FileDescriptorSet: each file once, imported ones first. */
function descriptorSet(): Buffer {
  const definition = loadSync(["rpc.proto", "v3lock.proto"], {
    includeDirs: [directory],
    keepCase: true,
  });
  const files = new Map<string, Buffer>();
  for (const name of [
    "mvccpb.Event",
    "authpb.User",
    "etcdserverpb.RangeRequest",
    "v3lockpb.LockRequest",
  ]) {
    const entry = definition[name] as { readonly fileDescriptorProtos?: readonly Buffer[] };
    for (const file of entry?.fileDescriptorProtos ?? []) {
      files.set(file.toString("latin1"), file);
    }
  }
  return Buffer.concat(
    [...files.values()].map((file) => {
      const length: number[] = [];
      for (let rest = file.length; ; rest >>>= 7) {
        length.push(rest < 128 ? rest : (rest & 127) | 128);
        if (rest < 128) {
          return Buffer.concat([Uint8Array.of(0x0a, ...length), file]);
        }
      }
    }),
  );
}

function run(endpoint: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(python, [script, endpoint, freshPrefix("python")], { timeout: 60_000 });
    let output = "";
    let errors = "";
    child.stdout.on("data", (text: Buffer) => {
      output += text.toString();
    });
    child.stderr.on("data", (text: Buffer) => {
      errors += text.toString();
    });
    child.once("close", (code) =>
      code === 0 ? resolve(output) : reject(new Error(`${code}:\n${output}\n${errors}`)),
    );
    child.stdin.end(descriptorSet());
  });
}

const target = useTargets();

describe.runIf(installed()).each(roles)("%s", (role) => {
  test("unary calls, streams, deadlines, cancellation", async () => {
    const lines = (await run(target(role).endpoint)).trim().split("\n");
    expect(lines.filter((line) => line.startsWith("FAILED"))).toEqual([]);
    expect(lines.at(-1)).toBe("done");
    expect(lines.length - 1).toBe(checks);
  });
});
