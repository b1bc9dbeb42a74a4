// Opens a data directory, says so, and holds it until it is killed.

import { openDataDirectory } from "../../src/storage/index.ts";

await openDataDirectory(process.argv[2] ?? "");
process.stdout.write("held\n");
setInterval(() => undefined, 1000);
