// The TCP gateway: connections go to members in turn, past those that are away, and whole.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { silentLogger } from "../../src/base/index.ts";
import { readGateway, TcpGateway } from "../../src/cli/tcp-gateway.ts";
import { KvClient } from "../support/kv-client.ts";
import { freePorts } from "../support/ports.ts";
import { ClusterProcesses } from "../support/processes.ts";

const host = "127.0.0.1";
const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) {
    await close();
  }
});

/** A server that answers each byte with its name, and a half-closed connection with "end". */
async function echo(name: string, port: number): Promise<Server> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("data", () => socket.write(name));
    socket.on("end", () => socket.end("end"));
    socket.on("error", () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  open.push(() => {
    sockets.forEach((socket) => socket.destroy());
    server.close();
  });
  return server;
}

async function gatewayTo(ports: readonly number[], retryDelayMs = 60_000): Promise<number> {
  const endpoints = ports.map((port) => ({ host, port }));
  const listen = { host, port: 0 };
  const gateway = new TcpGateway({ listen, endpoints, retryDelayMs }, silentLogger);
  open.push(() => gateway.close());
  return gateway.listen();
}

/** What comes back for one byte and a half-close; "" for a connection that is only closed. */
async function ask(port: number): Promise<string> {
  const socket = connect({ host, port, allowHalfOpen: true });
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    if (!text.includes("end")) {
      socket.end();
    }
  });
  socket.on("error", () => socket.destroy());
  socket.on("end", () => socket.end());
  socket.write("x");
  await once(socket, "close");
  return text;
}

test("members take turns, and a half-closed connection is answered to its end", async () => {
  const [a = 0, b = 0] = await freePorts(2);
  await echo("a", a);
  await echo("b", b);
  const port = await gatewayTo([a, b]);
  expect([await ask(port), await ask(port), await ask(port)]).toEqual(["aend", "bend", "aend"]);
});

test("a member that is away is passed over, and used again when it is back", async () => {
  const [a = 0, b = 0] = await freePorts(2);
  await echo("b", b);
  const port = await gatewayTo([a, b], 100);
  expect([await ask(port), await ask(port)]).toEqual(["bend", "bend"]);
  await echo("a", a);
  await expect
    .poll(async () => [await ask(port), await ask(port)].sort(), { timeout: 10_000 })
    .toEqual(["aend", "bend"]);
});

test("where nobody is there the connection is closed", async () => {
  const [a = 0] = await freePorts(1);
  expect(await ask(await gatewayTo([a]))).toBe("");
});

test("the command serves a client through it, and ends on a signal", async () => {
  await using cluster = await ClusterProcesses.start(1);
  const [port = 0] = await freePorts(1);
  const script = new URL("../../dist/cli/quorate.cjs", import.meta.url).pathname;
  const args = ["gateway", "start", `--endpoints=${cluster.endpoints[0]}`];
  const child = spawn(process.execPath, [script, ...args, "--listen-addr", `${host}:${port}`]);
  open.push(() => child.kill("SIGKILL"));
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => (log += chunk.toString()));
  await expect.poll(() => log, { timeout: 20_000 }).toContain("ready to proxy client requests");
  const client = new KvClient(`${host}:${port}`);
  await client.put("through", "it");
  expect((await client.range({ key: Buffer.from("through") })).count).toBe(1);
  client.close();
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  expect(await ended).toEqual([0, null]);
});

test("arguments", async () => {
  const resolver = {
    recordsOf: (service: string) =>
      service.includes("-ssl")
        ? Promise.resolve([{ name: "a.example.", port: 1 }])
        : Promise.resolve([{ name: "b.example", port: 2 }]),
    addressesOf: () => Promise.resolve([]),
  };
  expect(await readGateway([])).toBeUndefined();
  expect(await readGateway(["start"])).toEqual({
    listen: { host, port: 23790 },
    endpoints: [{ host, port: 2379 }],
    retryDelayMs: 60_000,
  });
  const found = ["start", "--discovery-srv=example", "--insecure-discovery"];
  expect((await readGateway(found, resolver))?.endpoints).toEqual([
    { host: "a.example", port: 1 },
    { host: "b.example", port: 2 },
  ]);
  await expect(readGateway(["stop"])).rejects.toThrow('unknown command "gateway stop"');
  await expect(readGateway(["start", "--endpoint=a:1"])).rejects.toThrow("Unknown option");
  await expect(readGateway(["start", "--endpoints=a"])).rejects.toThrow("form host:port");
  await expect(readGateway(["start", "--retry-delay=1"])).rejects.toThrow("--retry-delay");
});
