// Clients that others wrote, against the direct implementation: gRPC's C core, grpc-go (inside
// etcdctl), nghttp2. A tool that is not installed is named and passed over, but not under CI=true.

import { execFile, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { utf8 } from "../../src/base/index.ts";
import { ClientPort, clientPortLimits, createGrpcServer } from "../../src/grpc/index.ts";
import { type Harness, startServer, until } from "./harness.ts";
import { grpcMessage } from "./raw-h2.ts";

/** Whether a command works; under CI=true it has to. */
function available(name: string, command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore", timeout: 20_000 });
    return true;
  } catch (error) {
    if (process.env["CI"] === "true") {
      throw new Error(`${name} must be installed under CI`, { cause: error });
    }
    console.log(`skipped: ${name} is not installed`);
    return false;
  }
}

/** Standard output; rejects with what the command said. */
function run(command: string, args: readonly string[], env: object = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: 30_000, env: { ...process.env, ...env } };
    execFile(command, args, options, (error, stdout, stderr) => {
      if (error === null) {
        resolve(stdout);
      } else {
        reject(new Error(`${command} ${args.join(" ")}\n${stdout}\n${stderr}`, { cause: error }));
      }
    });
  });
}

describe("test service", () => {
  let server: Harness;
  let directory = "";
  beforeAll(async () => {
    server = await startServer("direct", {
      onHttpRequest: (request) => ({
        status: 200,
        headers: [["content-type", "text/plain"]],
        body: utf8(`${request.method} ${request.path} ${request.body.length}`),
      }),
    });
    directory = mkdtempSync(join(tmpdir(), "quorate-interop-"));
  });
  afterAll(async () => {
    rmSync(directory, { recursive: true });
    await server.close();
  });

  test("gRPC's C core by python3-grpcio", async () => {
    const python = "/usr/bin/python3";
    if (!available("python3-grpcio", python, ["-c", "import grpc"])) {
      return;
    }
    const script = fileURLToPath(new URL("interop_client.py", import.meta.url));
    const output = await run(python, [script, server.address]);
    const lines = output.trim().split("\n");
    expect(lines.filter((line) => line.startsWith("FAILED"))).toEqual([]);
    expect(lines.at(-1)).toBe("done");
    expect(lines.length).toBe(22);
  });

  test("nghttp: plain HTTP/2 with a body each way", async () => {
    if (!available("nghttp", "nghttp", ["--version"])) {
      return;
    }
    const file = join(directory, "body");
    writeFileSync(file, new Uint8Array(200_000));
    const base = `http://${server.address}`;
    expect(await run("nghttp", [`${base}/health?a=b`])).toBe("GET /health?a=b 0");
    expect(await run("nghttp", ["-d", file, `${base}/v3/kv/put`])).toBe("POST /v3/kv/put 200000");
    // Small windows, padding, several requests on one connection.
    const args = ["-w", "10", "-W", "12", "-b", "50", "-m", "5", "-d", file];
    expect(await run("nghttp", [...args, `${base}/p`])).toBe("POST /p 200000".repeat(5));
  });

  test("h2load: unary calls, all answered 200, over connections and windows", async () => {
    if (!available("h2load", "h2load", ["--version"])) {
      return;
    }
    const file = join(directory, "message");
    writeFileSync(file, grpcMessage(new Uint8Array(3_000)));
    const headers = ["-H", "content-type: application/grpc", "-H", "te: trailers"];
    const url = `http://${server.address}/test.Echo/Unary`;
    for (const shape of [
      ["-c", "4", "-m", "50"],
      ["-c", "2", "-m", "10", "-w", "12", "-W", "14"],
    ]) {
      const output = await run("h2load", ["-n", "4000", ...shape, "-d", file, ...headers, url]);
      expect(output).toContain("4000 succeeded, 0 failed, 0 errored, 0 timeout");
      expect(output).toContain("status codes: 4000 2xx");
    }
  });
});

/** Field `number` of length-delimited protobuf. */
function field(number: number, body: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from([(number << 3) | 2, body.length]), body]);
}

test("grpc-go by etcdctl: get and watch", async () => {
  if (!available("etcdctl", "etcdctl", ["version"])) {
    return;
  }
  const grpc = createGrpcServer("direct", {
    receiveMessageBytesMax: 2_000_000,
    concurrentStreamsMax: 1_024,
    keepAliveMinTimeMs: 5_000,
    keepAliveIntervalMs: 7_200_000,
    keepAliveTimeoutMs: 20_000,
  });
  // RangeResponse { kvs: [{ key, value }] }; WatchResponse { header, created }, { header, events }.
  const keyValue = Buffer.concat([field(1, utf8("k")), field(5, utf8("v"))]);
  const event = field(2, keyValue);
  let deadlines = 0;
  grpc.register({
    name: "etcdserverpb.KV",
    methods: {
      Range: {
        kind: "unary",
        handle: (_request, call) => {
          deadlines += call.deadlineMs === undefined ? 0 : 1;
          return [field(2, keyValue)];
        },
      },
    },
  });
  grpc.register({
    name: "etcdserverpb.Watch",
    methods: {
      Watch: {
        kind: "stream",
        handle: (call) =>
          call.onMessage(() => {
            const header = field(1, Uint8Array.of(0x18, 1));
            call.write([header, Uint8Array.of(0x18, 1)]);
            call.write([header, field(11, event)]);
          }),
      },
    },
  });
  const port = new ClientPort({ ...clientPortLimits, grpc, http: undefined, tls: undefined });
  const bound = await port.listen({ host: "127.0.0.1", port: 0, plaintext: true, tls: false });
  const env = { ETCDCTL_API: "3", ETCDCTL_ENDPOINTS: `127.0.0.1:${bound.port}` };
  expect(await run("etcdctl", ["get", "k"], env)).toBe("k\nv\n");
  expect(deadlines).toBe(1);
  const watch = spawn("etcdctl", ["watch", "k"], { env: { ...process.env, ...env } });
  let watched = "";
  watch.stdout.on("data", (chunk) => {
    watched += String(chunk);
  });
  await until(() => watched === "PUT\nk\nv\n");
  watch.kill("SIGKILL");
  await port.close(100);
});
