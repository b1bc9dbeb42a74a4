// make-mirror: copies a prefix to another cluster and follows its changes. Either end may be etcd.
//
// First everything is copied as of one revision, then every change after it is carried over in
// order, each transaction of the source within one of the destination. Both ends may be away for a
// while: the watch goes on where it stopped, and what was sent without an answer is sent again,
// which puts the same values once more. With --checkpoint a new process goes on, too.

import { idToHex } from "../../base/index.ts";
import { type Client, ClientError, connect } from "../../client/index.ts";
import {
  type Arguments,
  type Context,
  isSet,
  positionals,
  textFlag,
  wholeFlag,
} from "./context.ts";
import { type Connection, readTls, readUser } from "./connection.ts";
import { diagnose } from "./diagnosis.ts";
import { callFailure, callText, CommandError, exitCodes, isUnanswered } from "./failure.ts";
import { Mirror, type MirrorOptions } from "./mirror-run.ts";
import { boolFlag, numberFlag, type Verb, valueFlag } from "./verb.ts";

const maxTxnOpsDefault = 128;

async function makeMirror(context: Context, argv: Arguments): Promise<void> {
  const [endpoints, ...rest] = positionals(argv);
  if (endpoints === undefined || rest.length > 0) {
    throw new CommandError(
      exitCodes.badArguments,
      "make-mirror takes one destination argument",
      "quoratectl make-mirror --prefix=/app/ other-cluster:2379",
    );
  }
  const connection = await destinationOf(context, argv, endpoints.split(","));
  const destination = connect(connection);
  try {
    const options = mirrorOptions(argv);
    const identity = {
      source: await clusterOf(context.client, "source"),
      destination: await clusterOf(destination, "destination", connection),
      prefix: options.prefix,
      destinationPrefix: options.destinationPrefix,
    };
    refuseCircle(identity);
    await new Mirror(context, destination, identity, options).run();
  } finally {
    destination.close();
  }
}

function mirrorOptions(argv: Arguments): MirrorOptions {
  const prefix = textFlag(argv, "prefix");
  const given = textFlag(argv, "dest-prefix");
  const noPrefix = isSet(argv, "no-dest-prefix");
  if (noPrefix && given !== "") {
    throw new CommandError(
      exitCodes.badArguments,
      "`--dest-prefix` and `--no-dest-prefix` cannot be set at the same time, choose one",
    );
  }
  const maxTxnOps = wholeFlag(argv, "max-txn-ops", maxTxnOpsDefault);
  if (maxTxnOps < 1) {
    throw new CommandError(exitCodes.badArguments, "--max-txn-ops must be at least 1");
  }
  return {
    prefix,
    destinationPrefix: noPrefix ? "" : given || prefix,
    fromRevision: Math.max(0, wholeFlag(argv, "rev")),
    maxTxnOps,
    checkpoint: textFlag(argv, "checkpoint"),
    prunes: isSet(argv, "prune"),
    endsWhenInStep: isSet(argv, "once"),
  };
}

/** Nothing of the source's certificates and user is used for the destination. */
async function destinationOf(
  context: Context,
  argv: Arguments,
  endpoints: readonly string[],
): Promise<Connection> {
  const insecure = textFlag(argv, "dest-insecure-transport");
  const tls = await readTls({
    cacert: textFlag(argv, "dest-cacert"),
    cert: textFlag(argv, "dest-cert"),
    key: textFlag(argv, "dest-key"),
    serverName: "",
    insecureTransport: insecure !== "false",
    insecureSkipVerify: false,
  });
  const password = textFlag(argv, "dest-password");
  const auth = await readUser(context.io, textFlag(argv, "dest-user"), password);
  return {
    endpoints,
    callTimeoutMs: context.timeoutMs,
    dialTimeoutMs: context.settings.durationMs("dial-timeout"),
    ...(tls === undefined ? {} : { tls }),
    ...(auth === undefined ? {} : { auth }),
  };
}

/** With `connection` a failure is looked into there, not at --endpoints. */
async function clusterOf(client: Client, which: string, connection?: Connection): Promise<string> {
  const wrap = (text: string): string => `the ${which} (${client.endpoints.join(",")}): ${text}`;
  try {
    const { header } = await client.memberList({});
    return idToHex(header?.clusterId ?? 0n);
  } catch (error) {
    if (!(error instanceof ClientError)) {
      throw error;
    }
    const { badConnection } = exitCodes;
    if (connection === undefined || !isUnanswered(error)) {
      throw callFailure(error, badConnection, wrap);
    }
    const hint = (await diagnose(connection)).join("\nHint: ");
    throw new CommandError(badConnection, wrap(callText(error)), hint, { cause: error });
  }
}

/** What is copied must not be copied again. */
function refuseCircle(identity: {
  readonly source: string;
  readonly destination: string;
  readonly prefix: string;
  readonly destinationPrefix: string;
}): void {
  const { source, destination, prefix, destinationPrefix } = identity;
  const overlaps = prefix.startsWith(destinationPrefix) || destinationPrefix.startsWith(prefix);
  if (source === destination && overlaps) {
    throw new CommandError(
      exitCodes.badArguments,
      `source and destination are one cluster (${source}), and the prefixes overlap`,
      "give a --dest-prefix outside of --prefix, or another destination",
    );
  }
}

export const mirrorVerbs: readonly Verb[] = [
  {
    name: "make-mirror",
    usage: "<destination>",
    doc: "Copy keys to another cluster, and go on with every change",
    examples: [
      "make-mirror other:2379",
      "make-mirror --prefix=/app/ --dest-prefix=/copy/ --checkpoint=app.mirror other:2379",
      "--endpoints=old-etcd:2379 make-mirror --once new-quorate:2379",
    ],
    flags: [
      valueFlag("prefix", "Only keys that begin with this"),
      numberFlag("rev", "Copy nothing that is there; follow changes from this revision on"),
      valueFlag("dest-prefix", "What stands in place of --prefix at the destination"),
      boolFlag("no-dest-prefix", "Leave --prefix away at the destination"),
      numberFlag("max-txn-ops", "Most operations in one transaction of the destination", {
        default: String(maxTxnOpsDefault),
      }),
      valueFlag("checkpoint", "File that says how far it has come; a later run goes on from there"),
      boolFlag("prune", "After copying, delete what the destination has and the source has not"),
      boolFlag("once", "End when the destination has all that the source had"),
      valueFlag("dest-cacert", "File of authorities that sign the destination's members"),
      valueFlag("dest-cert", "File of this client's certificate for the destination"),
      valueFlag("dest-key", "File of the key to it"),
      valueFlag("dest-insecure-transport", "=false for TLS with the system's authorities", {
        default: "true",
      }),
      valueFlag("dest-user", "User of the destination: name[:password]"),
      valueFlag("dest-password", "Password of --dest-user"),
    ],
    run: makeMirror,
  },
];
