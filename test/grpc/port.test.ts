// The client port: sniffing, TLS, limits, closing, errors of listen.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createHttpServer, get } from "node:http";
import { get as getOverTls } from "node:https";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fromUtf8 } from "../../src/base/index.ts";
import { ClientPort, clientPortLimits, createGrpcServer } from "../../src/grpc/index.ts";
import { sniff } from "../../src/grpc/sniff.ts";
import { kinds, RawClient, startServer, until } from "./harness.ts";

let directory = "";
const file = (name: string): Buffer => readFileSync(join(directory, name));

function makeCertificate(name: string, commonName: string): void {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const names = ["-subj", `/CN=${commonName}`, "-addext", "subjectAltName=IP:127.0.0.1"];
  const out = ["-keyout", join(directory, `${name}.key`), "-out", join(directory, `${name}.crt`)];
  execFileSync("openssl", ["req", "-x509", "-days", "1", ...key, ...names, ...out], {
    stdio: "ignore",
  });
}

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "quorate-port-"));
  makeCertificate("server", "server");
  makeCertificate("renewed", "renewed");
  makeCertificate("client", "alice");
});
afterAll(() => rmSync(directory, { recursive: true }));

function httpServer() {
  return createHttpServer((request, response) => response.end(`http ${request.url}`));
}

function httpGet(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", port, path, agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += String(chunk);
      });
      response.on("end", () => resolve(text));
    }).on("error", reject);
  });
}

/** Everything the server sends until it closes. */
function untilClosed(socket: Socket): Promise<string> {
  let text = "";
  return new Promise((resolve) => {
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
  });
}

test("sniff decides by the shortest beginning that can decide", () => {
  const of = (text: string): string => sniff(Buffer.from(text, "latin1"));
  expect(of("")).toBe("more");
  expect(of("P")).toBe("more");
  expect(of("PRI")).toBe("more");
  expect(of("PRI ")).toBe("http2");
  expect(of("PR")).toBe("more");
  expect(of("PROPFIND")).toBe("http1");
  expect(of("PUT /")).toBe("http1");
  expect(of("G")).toBe("http1");
  expect(of("\x16")).toBe("tls");
  expect(of("\x00")).toBe("unknown");
  expect(of("get /")).toBe("unknown");
});

describe.each(kinds)("one port for all, with %s", (kind) => {
  test("gRPC and HTTP/1.1 without TLS; the head may come byte by byte", async () => {
    const server = await startServer(kind, {}, { http: httpServer() });
    expect(fromUtf8(await server.client().unary("Unary", "x"))).toBe("x");
    expect(await httpGet(server.portNumber, "/version")).toBe("http /version");
    const socket = connect(server.portNumber, "127.0.0.1");
    const text = untilClosed(socket);
    for (const byte of "PUT /slow HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n") {
      socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await text).toContain("http /slow");
    await server.close();
  });

  test("TLS: gRPC with a client certificate, HTTPS, and no plaintext", async () => {
    const tls = {
      key: file("server.key"),
      cert: file("server.crt"),
      ca: file("client.crt"),
      requestCert: true,
      rejectUnauthorized: true,
    };
    const server = await startServer(kind, {}, { tls, http: httpServer() });
    const credential = credentials.createSsl(
      file("server.crt"),
      file("client.key"),
      file("client.crt"),
    );
    const client = new RawClient(server.address, {}, credential);
    const stream = client.stream("Control");
    stream.on("error", () => {});
    await until(() => server.seen.streams.length === 1);
    expect(server.seen.streams[0]?.peer.certificateCommonName).toBe("alice");
    stream.cancel();
    client.close();

    const text = await new Promise((resolve, reject) => {
      const options = {
        host: "127.0.0.1",
        port: server.portNumber,
        path: "/health",
        servername: "",
        ca: file("server.crt"),
        key: file("client.key"),
        cert: file("client.crt"),
        agent: false,
      };
      getOverTls(options, (response) => response.on("data", (d) => resolve(String(d)))).on(
        "error",
        reject,
      );
    });
    expect(text).toBe("http /health");
    await expect(httpGet(server.portNumber, "/health")).rejects.toThrow();
    await server.close();
  });

  test("a reloaded certificate serves handshakes from then on", async () => {
    const tls = { key: file("server.key"), cert: file("server.crt") };
    const server = await startServer(kind, {}, { tls });
    const ask = async (ca: string): Promise<string> => {
      const client = new RawClient(server.address, {}, credentials.createSsl(file(ca)));
      try {
        return fromUtf8(await client.unary("Unary", ca, { deadline: Date.now() + 3_000 }));
      } finally {
        client.close();
      }
    };
    expect(await ask("server.crt")).toBe("server.crt");
    server.port.reloadTls({ key: file("renewed.key"), cert: file("renewed.crt") });
    expect(await ask("renewed.crt")).toBe("renewed.crt");
    await expect(ask("server.crt")).rejects.toThrow();
    await server.close();
  });

  test("who says nothing, or nonsense, or half a TLS handshake, is closed", async () => {
    const tls = { key: file("server.key"), cert: file("server.crt") };
    const server = await startServer(kind, {}, { tls, prefaceTimeoutMs: 100 });
    const silent = untilClosed(connect(server.portNumber, "127.0.0.1"));
    const nonsense = connect(server.portNumber, "127.0.0.1");
    nonsense.write("\x00\x01\x02");
    const half = connect(server.portNumber, "127.0.0.1");
    half.write("\x16\x03\x01");
    expect(await Promise.all([silent, untilClosed(nonsense), untilClosed(half)])).toBeDefined();
    await until(() => server.port.connections === 0);
    await server.close();
  });

  test("connections beyond the limits are refused; freed places are taken again", async () => {
    const server = await startServer(kind, {}, { connectionsPerAddressMax: 3 });
    const sockets = [1, 2, 3].map(() => connect(server.portNumber, "127.0.0.1"));
    await until(() => server.port.connections === 3);
    expect(await untilClosed(connect(server.portNumber, "127.0.0.1"))).toBe("");
    expect(server.port.refusedConnections).toBe(1);
    for (const socket of sockets) {
      socket.destroy();
    }
    await until(() => server.port.connections === 0);
    expect(fromUtf8(await server.client().unary("Unary", "x"))).toBe("x");
    await server.close();
  });
});

test("a slow HTTP/1.1 head meets node's timeouts though the server never listens", async () => {
  const http = createHttpServer({ connectionsCheckingInterval: 50, headersTimeout: 100 });
  const server = await startServer("grpc-js", {}, { http });
  const socket = connect(server.portNumber, "127.0.0.1");
  socket.write("GET / HTTP/1.1\r\n");
  expect(await untilClosed(socket)).toContain("408 Request Timeout");
  await server.close();
});

test("a port in use is a clear error", async () => {
  const server = await startServer("grpc-js");
  const options = {
    receiveMessageBytesMax: 1,
    concurrentStreamsMax: 1,
    keepAliveMinTimeMs: 1,
    keepAliveIntervalMs: 1_000,
    keepAliveTimeoutMs: 1_000,
  };
  const grpc = createGrpcServer("grpc-js", options);
  const port = new ClientPort({ ...clientPortLimits, grpc, http: undefined, tls: undefined });
  const address = { host: "127.0.0.1", port: server.portNumber, plaintext: true, tls: false };
  await expect(port.listen(address)).rejects.toThrow(
    `cannot listen on 127.0.0.1:${server.portNumber}: the address is in use by another process`,
  );
  await port.close(0);
  await server.close();
});

test("close frees the port, cuts who never spoke, and is idempotent", async () => {
  const server = await startServer("grpc-js", {}, { http: httpServer() });
  const silent = untilClosed(connect(server.portNumber, "127.0.0.1"));
  await until(() => server.port.connections === 1);
  const startedMs = performance.now();
  await Promise.all([server.port.close(10_000), server.port.close(10_000)]);
  expect(performance.now() - startedMs).toBeLessThan(2_000);
  expect(await silent).toBe("");
  await expect(httpGet(server.portNumber, "/")).rejects.toThrow("ECONNREFUSED");
});
