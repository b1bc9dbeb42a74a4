// doctor: asks everything that can be asked of a cluster, and says what is wrong, why, and which
// command mends it. Nothing is changed.

import { connect as connectTls } from "node:tls";
import { setTimeout as sleep } from "node:timers/promises";
import { AlarmRequestAlarmAction } from "../../wire/index.ts";
import { type MemberReading, membersOf, readMembers, reasonOf, titleOf } from "./cluster-facts.ts";
import { type Arguments, type Context, isSet } from "./context.ts";
import { type CertificateFact, type Finding, findingsOf, type HashFact } from "./doctor-checks.ts";
import { CommandError, exitCodes, textOf } from "./failure.ts";
import { boolFlag, type Verb } from "./verb.ts";

const betweenMs = 1_000;
const hashTimeoutMs = 60_000;
const handshakeTimeoutMs = 3_000;

async function doctor(context: Context, argv: Arguments): Promise<void> {
  using progress = context.progress("asking the members");
  const findings = await examine(context, isSet(argv, "quick"), (text) => progress.note(text));
  progress.end();
  if (context.format === "simple") {
    print(context, findings);
  } else {
    context.report({
      header: ["severity", "what", "cause", "mend"],
      rows: findings.map(({ severity, what, cause, mend }) => [
        severity,
        what,
        cause,
        mend.join("; "),
      ]),
      json: findings,
    });
  }
  if (findings.some(({ severity }) => severity === "problem")) {
    throw new CommandError(exitCodes.interrupted, "");
  }
}

async function examine(
  context: Context,
  isQuick: boolean,
  onProgress: (text: string) => void,
): Promise<Finding[]> {
  const { client } = context;
  let members: Awaited<ReturnType<typeof membersOf>>;
  try {
    members = await membersOf(context);
  } catch (error) {
    return [await unreachable(context, error)];
  }
  const before = await readMembers(context, client, members);
  await sleep(betweenMs);
  const after = await readMembers(context, client, members);
  const alarms = await client
    .alarm({ action: AlarmRequestAlarmAction.GET })
    .then((reply) => reply.alarms)
    .catch(() => []);
  const authEnabled = await client
    .authStatus()
    .then((reply) => reply.enabled)
    .catch(() => undefined);
  onProgress("comparing hashes");
  const hashRevision = newestCommon(after);
  const hashes = isQuick ? [] : await hashesOf(context, after, hashRevision);
  onProgress("looking at certificates");
  const certificates = await certificatesOf(after);
  const nowMs = Date.now();
  return findingsOf({
    before,
    after,
    alarms,
    authEnabled,
    hashes,
    hashRevision,
    certificates,
    nowMs,
  });
}

/** Not one endpoint could say who the members are. */
async function unreachable(context: Context, error: unknown): Promise<Finding> {
  const answers: string[] = [];
  for (const endpoint of context.endpoints) {
    const failure = await context.client.status(endpoint).then(
      () => "answers",
      (cause: unknown) => reasonOf(textOf(cause)),
    );
    answers.push(`${endpoint}: ${failure}`);
  }
  return {
    severity: "problem",
    what: `the members cannot be listed: ${reasonOf(textOf(error))}`,
    cause: answers.join("; "),
    mend: [
      "are the members running?   systemctl status quorate",
      "is --endpoints right, and --cacert, --cert, --key, --user where they are asked for?",
    ],
  };
}

/** All that answer have it. */
function newestCommon(readings: readonly MemberReading[]): number {
  const revisions = readings.flatMap(({ status }) =>
    status === undefined ? [] : [status.header?.revision ?? 0],
  );
  return revisions.length === 0 ? 0 : Math.min(...revisions);
}

async function hashesOf(
  context: Context,
  readings: readonly MemberReading[],
  revision: number,
): Promise<HashFact[]> {
  const found = await Promise.all(
    readings.map(async ({ member, status }): Promise<HashFact[]> => {
      if (status === undefined || revision === 0) {
        return [];
      }
      const options = { timeoutMs: hashTimeoutMs };
      const asked = context.client.hashKv(member.endpoint, { revision }, options);
      return asked.then(
        ({ hash, compactRevision }) => [{ name: titleOf(member), hash, compactRevision }],
        () => [],
      );
    }),
  );
  return found.flat();
}

async function certificatesOf(readings: readonly MemberReading[]): Promise<CertificateFact[]> {
  const urls = new Set(
    readings.flatMap(({ member }) => [...member.clientUrls, ...member.peerUrls]),
  );
  const secure = [...urls].filter((url) => url.startsWith("https:"));
  return (await Promise.all(secure.map(certificateOf))).flat();
}

/** Of whatever serves there: what it is signed by is not the question. */
function certificateOf(url: string): Promise<CertificateFact[]> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const host = hostname.replace(/^\[|\]$/g, "");
    const socket = connectTls({ host, port: Number(port), rejectUnauthorized: false });
    const end = (facts: CertificateFact[]): void => {
      socket.destroy();
      resolve(facts);
    };
    socket.setTimeout(handshakeTimeoutMs, () => end([]));
    socket.once("error", () => end([]));
    socket.once("secureConnect", () => {
      const validToMs = Date.parse(socket.getPeerCertificate().valid_to);
      end(Number.isFinite(validToMs) ? [{ url, validToMs }] : []);
    });
  });
}

function print({ io }: Context, findings: readonly Finding[]): void {
  const { paint } = io.terminal.output;
  const colours = { problem: "red", warning: "yellow", note: "cyan" } as const;
  for (const { severity, what, cause, mend } of findings) {
    io.line(`${paint(colours[severity], severity.toUpperCase())} ${paint("bold", what)}`);
    io.line(`  why: ${cause}`);
    for (const line of mend) {
      io.line(`  do:  ${line}`);
    }
    io.line();
  }
  const problems = findings.filter(({ severity }) => severity === "problem").length;
  const warnings = findings.filter(({ severity }) => severity === "warning").length;
  io.line(
    problems + warnings === 0
      ? paint("green", "The cluster is well.")
      : `${problems} problems, ${warnings} warnings`,
  );
}

export const doctorVerbs: readonly Verb[] = [
  {
    name: "doctor",
    usage: "",
    doc: "Say what is wrong with a cluster, why, and what mends it; exit code 5 for a problem",
    examples: ["doctor", "doctor --quick", "doctor -w json"],
    flags: [boolFlag("quick", "Compare no hashes of the members' data, which reads all of it")],
    run: doctor,
  },
];
