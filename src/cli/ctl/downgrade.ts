// downgrade validate, enable and cancel.

import { DowngradeRequestDowngradeAction as Action } from "../../wire/index.ts";
import { type Arguments, type Context, positionals } from "./context.ts";
import { CommandError, exitCodes, orFail } from "./failure.ts";
import type { Verb } from "./verb.ts";

function versionArgument(argv: Arguments): string {
  const [version, ...rest] = positionals(argv);
  if (version === undefined || rest.length > 0) {
    throw new CommandError(
      exitCodes.badArguments,
      "TARGET_VERSION not provided",
      "a version is MAJOR.MINOR, such as 3.5",
    );
  }
  return version;
}

async function validate(context: Context, argv: Arguments): Promise<void> {
  const version = versionArgument(argv);
  const reply = await orFail(context.client.downgrade({ action: Action.VALIDATE, version }));
  context.io.line(`Downgrade validate success, cluster version ${reply.version}`);
}

async function enable(context: Context, argv: Arguments): Promise<void> {
  const version = versionArgument(argv);
  const reply = await orFail(context.client.downgrade({ action: Action.ENABLE, version }));
  context.io.line(`Downgrade enable success, cluster version ${reply.version}`);
}

async function cancel(context: Context): Promise<void> {
  const reply = await orFail(context.client.downgrade({ action: Action.CANCEL }));
  context.io.line(`Downgrade cancel success, cluster version ${reply.version}`);
}

export const downgradeVerbs: readonly Verb[] = [
  {
    name: "downgrade validate",
    usage: "<version>",
    doc: "Print whether the cluster could go back to a version",
    examples: ["downgrade validate 3.5"],
    flags: [],
    run: validate,
  },
  {
    name: "downgrade enable",
    usage: "<version>",
    doc: "Let the cluster go back to a version",
    examples: ["downgrade enable 3.5"],
    flags: [],
    run: enable,
  },
  {
    name: "downgrade cancel",
    usage: "",
    doc: "Stay at the version of now",
    examples: ["downgrade cancel"],
    flags: [],
    run: cancel,
  },
];
