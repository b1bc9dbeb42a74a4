// A rate limit that holds for all servers together, and tells clients where they stand.
// node examples/rate-limiter.js [endpoint ...]

import { once } from "node:events";
import { createServer } from "node:http";
import { Quorate, rateLimit, RateLimiter } from "quorate";

const given = process.argv.slice(2);
const store = new Quorate({ endpoints: given.length > 0 ? given : ["127.0.0.1:2379"] });

async function startServer() {
  const limiter = new RateLimiter(store, "api", { limit: 3, windowSeconds: 60 });
  const limited = rateLimit(limiter, { key: (request) => request.headers["x-user"] });
  const server = createServer((request, response) => {
    limited(request, response, (error) => {
      response.statusCode = error === undefined ? 200 : 503; // the store is away
      response.end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${server.address().port}/`;
  const close = async () => {
    server.close();
    server.closeAllConnections();
    await limiter[Symbol.asyncDispose]();
  };
  return { url, close };
}

const servers = [await startServer(), await startServer()];
for (const [user, at] of ["ada 0", "ada 1", "ada 0", "ada 1", "bob 1"].map((s) => s.split(" "))) {
  const { status, headers } = await fetch(servers[at].url, { headers: { "x-user": user } });
  const [, left] = /;r=(\d+);/.exec(headers.get("ratelimit"));
  const when = headers.has("retry-after") ? ", and is told when to come again" : "";
  console.log(`${user} gets ${status}, ${left} left${when}`);
}
const response = await fetch(servers[0].url, { headers: { "x-user": "bob" } });
console.log(response.headers.get("ratelimit-policy"));

await Promise.all(servers.map(({ close }) => close()));
await store.delete({ prefix: "api/" });
store.close();

// prints
// ada gets 200, 2 left
// ada gets 200, 1 left
// ada gets 200, 0 left
// ada gets 429, 0 left, and is told when to come again
// bob gets 200, 2 left
// "default";q=3;w=60
