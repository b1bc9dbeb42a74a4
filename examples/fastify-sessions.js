// Sessions of @fastify/session in the store: any server may answer.
// node examples/fastify-sessions.js [endpoint ...]

import fastifyCookie from "@fastify/cookie";
import fastifySession from "@fastify/session";
import Fastify from "fastify";
import { fastifySessionStore, Quorate, Sessions } from "quorate";

const given = process.argv.slice(2);
const store = new Quorate({ endpoints: given.length > 0 ? given : ["127.0.0.1:2379"] });
const sessions = new Sessions(store, { prefix: "blog/sessions/", ttlSeconds: 1800 });

async function makeServer() {
  const app = Fastify();
  await app.register(fastifyCookie);
  await app.register(fastifySession, {
    store: fastifySessionStore(sessions),
    secret: "change me: at least thirty-two characters",
    cookie: { secure: false },
  });
  app.get("/", async (request) => {
    request.session.views = (request.session.views ?? 0) + 1;
    return `${request.session.views} views`;
  });
  return app;
}

const [a, b] = [await makeServer(), await makeServer()];
const first = await a.inject("/");
const cookies = { [first.cookies[0].name]: first.cookies[0].value };
console.log(first.body);
console.log((await b.inject({ url: "/", cookies })).body);
console.log((await a.inject({ url: "/", cookies })).body);

await a.close();
await b.close();
await store.delete({ prefix: "blog/sessions/" });
store.close();

// prints
// 1 views
// 2 views
// 3 views
