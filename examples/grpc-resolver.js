// A grpc-js client that dials the name of a service and follows its instances.
// node examples/grpc-resolver.js [endpoint ...]

import { Client, credentials, Server, ServerCredentials } from "@grpc/grpc-js";
import { Quorate, register, registerGrpcResolver } from "quorate";

const given = process.argv.slice(2);
const store = new Quorate({ endpoints: given.length > 0 ? given : ["127.0.0.1:2379"] });

const toBytes = (text) => Buffer.from(text);
const toText = (bytes) => bytes.toString();
const hello = {
  path: "/example.Greeter/Hello",
  requestStream: false,
  responseStream: false,
  requestSerialize: toBytes,
  requestDeserialize: toText,
  responseSerialize: toBytes,
  responseDeserialize: toText,
};

/** A server on any port, registered under "greeter". */
async function startServer(id) {
  const server = new Server();
  server.addService({ Hello: hello }, { Hello: (_call, reply) => reply(null, id) });
  const port = await new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  const address = `127.0.0.1:${port}`;
  const registration = await register(store, "greeter", { id, address, ttlSeconds: 3 });
  return { server, registration };
}

registerGrpcResolver(store);
const client = new Client("quorate:///greeter", credentials.createInsecure());
const call = () =>
  new Promise((resolve, reject) => {
    client.makeUnaryRequest(hello.path, toBytes, toText, "me", (error, text) =>
      error ? reject(error) : resolve(text),
    );
  });
/** Calls until exactly these have answered in turn. */
async function answerers(...ids) {
  for (;;) {
    const answers = new Set();
    for (let i = 0; i < 6; i++) {
      answers.add(await call());
    }
    if (answers.size === ids.length && ids.every((id) => answers.has(id))) {
      console.log(`answered by ${ids.join(" and ")}`);
      return;
    }
  }
}

const one = await startServer("one");
await answerers("one");
const two = await startServer("two");
await answerers("one", "two");
await one.registration.close();
await answerers("two");

client.close();
await two.registration.close();
one.server.forceShutdown();
two.server.forceShutdown();
store.close();

// prints
// answered by one
// answered by one and two
// answered by two
