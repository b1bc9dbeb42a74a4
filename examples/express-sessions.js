// Sessions of express-session in the store: any server may answer.
// node examples/express-sessions.js [endpoint ...]

import { once } from "node:events";
import express from "express";
import session from "express-session";
import { expressSessionStore, Quorate, Sessions } from "quorate";

const given = process.argv.slice(2);
const store = new Quorate({ endpoints: given.length > 0 ? given : ["127.0.0.1:2379"] });
const sessions = new Sessions(store, { prefix: "shop/sessions/", ttlSeconds: 1800 });

async function startServer() {
  const app = express();
  app.use(
    session({
      store: expressSessionStore(session.Store, sessions),
      secret: "change me",
      resave: false,
      saveUninitialized: false,
    }),
  );
  app.get("/", (request, response) => {
    request.session.views = (request.session.views ?? 0) + 1;
    response.end(`${request.session.views} views`);
  });
  const server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, url: `http://127.0.0.1:${server.address().port}/` };
}

const [a, b] = [await startServer(), await startServer()];
const first = await fetch(a.url);
const cookie = first.headers.getSetCookie()[0].split(";")[0];
console.log(await first.text());
console.log(await (await fetch(b.url, { headers: { cookie } })).text());
console.log(await (await fetch(a.url, { headers: { cookie } })).text());

a.server.close();
b.server.close();
await store.delete({ prefix: "shop/sessions/" });
store.close();

// prints
// 1 views
// 2 views
// 3 views
