// The gateway over HTTP/2, as curl speaks it by itself over TLS: streams in pieces.

import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type GrpcStatus, silentLogger, utf8 } from "../../src/base/index.ts";
import { createHttpDoor, type HttpDoor } from "../../src/http/index.ts";
import { makeWorld, type World } from "../api/harness.ts";
import { type Harness, startServer, until } from "../grpc/harness.ts";

let world: World;
let door: HttpDoor;
let server: Harness;
let session: ClientHttp2Session;
let ended: [string, GrpcStatus][];

beforeEach(async () => {
  world = makeWorld();
  ended = [];
  door = createHttpDoor({
    handle: world.node,
    metrics: world.metrics,
    logger: silentLogger,
    versions: { etcdServer: "3.6.7", etcdCluster: "3.6.0", storage: "3.6.0", quorate: "0.1.0" },
    bodyBytesMax: 100_000,
    gateway: {
      services: world.api.services,
      onCallEnd: (path, status) => ended.push([path, status]),
    },
  });
  server = await startServer("direct", { onHttpRequest: door.handle }, { http: door.server });
  session = connect(`http://${server.address}`);
  session.on("error", () => undefined);
});

afterEach(async () => {
  session.destroy();
  door.close();
  await server.close();
});

interface Answer {
  readonly stream: ClientHttp2Stream;
  status: number;
  text: string;
  closed: boolean;
}

function post(path: string, body: string): Answer {
  const stream = session.request({ ":method": "POST", ":path": path });
  const answer: Answer = { stream, status: 0, text: "", closed: false };
  stream.on("response", (headers) => {
    answer.status = headers[":status"] ?? 0;
  });
  stream.on("data", (chunk: Buffer) => {
    answer.text += chunk.toString();
  });
  stream.on("error", () => undefined);
  stream.on("close", () => {
    answer.closed = true;
  });
  stream.end(body);
  return answer;
}

const lines = ({ text }: Answer): string[] => text.split("\n").slice(0, -1);

it("answers each request of the body, then ends", async () => {
  const answer = post("/v3/lease/keepalive", '{"ID":"77"}{"ID":"78"}');
  await until(() => answer.closed);
  expect(answer.status).toBe(200);
  expect(lines(answer).map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { result: { ID: "77" } },
    { result: { ID: "78" } },
  ]);
  expect(ended).toEqual([["/etcdserverpb.Lease/LeaseKeepAlive", 0]]);
});

it("shows events until the client goes", async () => {
  const answer = post("/v3/watch", '{"create_request":{"key":"YQ=="}}');
  await until(() => lines(answer).length === 1);
  world.node.store.put(utf8("a"), utf8("1"), 0n);
  world.node.commit();
  await until(() => lines(answer).length === 2);
  expect(JSON.parse(lines(answer)[1] ?? "")).toMatchObject({
    result: { events: [{ kv: { key: "YQ==", value: "MQ==" } }] },
  });
  answer.stream.close();
  await until(() => ended.length === 1);
  expect(ended).toEqual([["/etcdserverpb.Watch/Watch", 1]]);
});

it("holds back for a client that does not read, and loses nothing", async () => {
  const answer = post("/v3/watch", '{"create_request":{"key":"YQ=="}}');
  await until(() => lines(answer).length === 1);
  answer.stream.pause();
  const value = new Uint8Array(50_000).fill(7);
  for (let i = 0; i < 40; i++) {
    world.node.store.put(utf8("a"), value, 0n);
    world.node.commit();
    await new Promise((resolve) => setImmediate(resolve));
  }
  answer.stream.resume();
  const revisions = (): unknown[] =>
    lines(answer)
      .slice(1)
      .flatMap((line) => {
        const { result } = JSON.parse(line) as {
          readonly result: {
            readonly events: { readonly kv: { readonly mod_revision: string } }[];
          };
        };
        return result.events.map((event) => event.kv.mod_revision);
      });
  await until(() => revisions().length === 40);
  expect(revisions()).toEqual(Array.from({ length: 40 }, (_, i) => String(i + 2)));
});

it("answers failures whole", async () => {
  const answer = post("/v3/watch", "{bad");
  await until(() => answer.closed);
  expect(answer.status).toBe(400);
  expect(JSON.parse(answer.text)).toMatchObject({ code: 3 });
});
