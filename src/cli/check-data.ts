// quorate check-data DIR: what a data directory holds and what is wrong with it, in words. Exit
// codes: 0 when nothing is wrong, 1 when something is, 2 when it could not be checked.

import { StorageError } from "../base/index.ts";
import { checkData } from "../node/index.ts";
import type { CheckedData, LogSummary, StateSummary } from "../node/index.ts";
import type { Finding } from "../storage/index.ts";

export const checkDataHelp = `Usage: quorate check-data [--json] DIR

Reads the data directory of a member that is not running and says what it holds and what is wrong
with it: log, checkpoint, LevelDB tables, checksums, members, term and commit, every key, lease and
revision. Nothing in the directory is changed. Copies of a few MB are made in TMPDIR.

  quorate check-data default.etcd

Exit codes: 0 nothing is wrong, 1 damage was found, 2 it could not be checked.
`;

export interface CheckOutput {
  out(text: string): void;
  /** Shows how far it has come; "" takes that away again. */
  progress(text: string): void;
}

/** Runs the command; resolves with the exit code. */
export async function runCheckData(
  args: readonly string[],
  { out, progress }: CheckOutput,
): Promise<number> {
  const asJson = args.includes("--json");
  const [path, ...rest] = args.filter((arg) => arg !== "--json");
  if (args.includes("--help") || args.includes("-h")) {
    out(checkDataHelp);
    return 0;
  }
  if (path === undefined || rest.length > 0 || path.startsWith("-")) {
    out(`quorate check-data expects one argument, the directory\n\n${checkDataHelp}`);
    return 2;
  }
  const findings: Finding[] = [];
  let checked: CheckedData;
  try {
    const onFinding = (finding: Finding): unknown => findings.push(finding);
    checked = await checkData(path, { onFinding, onProgress: progress });
  } catch (error) {
    if (!(error instanceof StorageError) && !(error instanceof Error && "syscall" in error)) {
      throw error;
    }
    progress("");
    out(asJson ? `${JSON.stringify({ error: error.message })}\n` : `${error.message}\n`);
    return 2;
  }
  progress("");
  const problems = findings.filter(({ kind }) => kind === "problem");
  out(asJson ? `${JSON.stringify({ ...checked, findings })}\n` : textOf(path, checked, findings));
  return problems.length > 0 ? 1 : 0;
}

function textOf(path: string, checked: CheckedData, findings: readonly Finding[]): string {
  const lines = [`${path}: ${checked.owner ?? "nobody's, as far as can be read"}`, ""];
  lines.push(...logLines(checked.log), ...stateLines(checked.state), "");
  for (const kind of ["note", "problem"] as const) {
    const some = findings.filter((finding) => finding.kind === kind);
    if (some.length > 0) {
      const title = kind === "note" ? "To know" : "Wrong";
      lines.push(`${title}:`, "", ...some.flatMap((finding) => findingLines(finding, some)));
    }
  }
  const count = findings.filter(({ kind }) => kind === "problem").length;
  lines.push(
    count === 0
      ? "Nothing is wrong."
      : `${count} ${count === 1 ? "thing is" : "things are"} wrong. Nothing was changed.`,
  );
  return `${lines.join("\n")}\n`;
}

/** Findings in a row that ask for the same are told what to do once. */
function findingLines({ what, advice }: Finding, all: readonly Finding[]): string[] {
  const at = all.findIndex((finding) => finding.what === what);
  const isLast = all[at + 1]?.advice !== advice;
  return isLast ? [`  ${what}`, `    -> ${advice}`, ""] : [`  ${what}`];
}

function logLines(log: LogSummary | undefined): string[] {
  if (log === undefined) {
    return ["log      cannot be read"];
  }
  const { segments, firstIndex, lastIndex, term, vote, commit, markIndex } = log;
  const entries =
    lastIndex < firstIndex
      ? `no entries after ${markIndex}`
      : `entries ${firstIndex} to ${lastIndex}`;
  return [
    `log      segments: ${segments}, ${entries}, committed up to ${commit}`,
    `vote     term ${term}${vote === "" ? ", for nobody" : `, for ${vote}`}`,
  ];
}

function stateLines(state: StateSummary | undefined): string[] {
  if (state === undefined) {
    return ["state    cannot be read"];
  }
  const { hash, revision, compactedRevision, replayed } = state;
  const auth = `authentication ${state.authEnabled ? "on" : "off"}`;
  const sum =
    hash === undefined
      ? "cannot be computed"
      : `${hash} at revision ${revision} (quoratectl endpoint hashkv --rev=${revision})`;
  return [
    `state    ${state.name}, ${state.rows} rows, ${state.sizeBytes} bytes, applied up to ` +
      `${state.appliedIndex} (term ${state.appliedTerm})`,
    `         ${replayed} committed entries of the log follow; what is said below includes them`,
    `members  voters: ${state.voters.join(", ")}; learners: ${state.learners.join(", ") || "none"}`,
    `keys     ${state.keys} at revision ${revision}, compacted at ${compactedRevision}`,
    `others   leases: ${state.leases}, users: ${state.users}, roles: ${state.roles}, alarms: ` +
      `${state.alarms}, ${auth}`,
    `hash     ${sum}`,
  ];
}
