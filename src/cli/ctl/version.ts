// version: which quoratectl this is.

import { readFileSync } from "node:fs";
import type { Context } from "./context.ts";
import type { Verb } from "./verb.ts";

/** The line of etcd whose API this speaks. */
const apiVersion = "3.6";

function version(context: Context): Promise<void> {
  const text = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  const { version: own } = JSON.parse(text) as { readonly version: string };
  context.io.line(`quoratectl version: ${own}`);
  context.io.line(`API version: ${apiVersion}`);
  return Promise.resolve();
}

export const versionVerbs: readonly Verb[] = [
  {
    name: "version",
    usage: "",
    doc: "Print the version of quoratectl and of the API it speaks",
    examples: ["version"],
    flags: [],
    isOffline: true,
    run: version,
  },
];
