// Configuration: a typed, live view of a prefix, checked by a schema of any library of Standard
// Schema; zod here.
// node examples/config.js [endpoint ...]

import { defineConfig, Quorate } from "quorate";
import { z } from "zod";

const given = process.argv.slice(2);
const store = new Quorate({ endpoints: given.length > 0 ? given : ["127.0.0.1:2379"] });

const definition = defineConfig(
  z.object({
    port: z.number().max(65_535).default(8080),
    db: z.object({ host: z.string() }).default({ host: "localhost" }),
  }),
);
const config = await definition.open(store, "config/shop/");
console.log(`port ${config.value.port}, database at ${config.value.db.host}`);

config.onChange(({ keys, value }) => console.log(`changed: ${keys.join(", ")}; port ${value.port}`));
const { revision } = await config.update((draft) => {
  draft.port = 9090;
});
await config.update((draft) => {
  draft.port = 70_000;
}).catch((error) => console.log(error.issues[0].path, "is refused"));

// By hand: quoratectl put config/shop/db/host db.example
await config.reached((await store.put("config/shop/db/host", "db.example")).revision);
console.log(`database at ${config.value.db.host}`);
await config.rollback(revision);
console.log(`database at ${config.value.db.host} again`);

config.close();
await store.delete({ prefix: "config/shop/" });
store.close();

// prints
// port 8080, database at localhost
// changed: port; port 9090
// port is refused
// changed: db/host; port 9090
// database at db.example
// changed: db/host; port 9090
// database at localhost again
