// edit: a value in the user's editor, written back only if nobody has changed it meanwhile. What
// was typed is never lost: it stays in its file until the cluster has it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Client } from "../../client/index.ts";
import { type KeyValue, PutRequest, RangeRequest, type RequestOp } from "../../wire/index.ts";
import { type Arguments, type Context, isSet, positionals, textFlag } from "./context.ts";
import { CommandError, exitCodes, orFail, textOf } from "./failure.ts";
import { withConflict } from "./merge.ts";
import { bytesOf } from "./raw-text.ts";
import { unchanged } from "./revisions.ts";
import { sameValue, showDiff } from "./show-diff.ts";
import { boolFlag, type Verb, valueFlag } from "./verb.ts";
import { isText, visible } from "./visible.ts";

const noBytes = new Uint8Array(0);

async function edit(context: Context, argv: Arguments): Promise<void> {
  const [text, ...rest] = positionals(argv);
  if (text === undefined || rest.length > 0) {
    throw new CommandError(exitCodes.badArguments, "edit needs one argument: the key");
  }
  const key = bytesOf(text);
  const reply = await orFail(context.client.range({ key }));
  const seen = reply.kvs[0];
  const value = seen?.value ?? noBytes;
  if (!isText(value) && !isSet(argv, "binary")) {
    throw new CommandError(
      exitCodes.invalidInput,
      `the value of ${visible(key)} is no text`,
      "--binary edits it all the same; get --print-value-only and put work on files",
    );
  }
  const directory = await mkdtemp(join(tmpdir(), "quoratectl-edit-"));
  const path = join(directory, fileName(key, value, textFlag(argv, "extension")));
  const session = new EditSession(context, key, path, editorOf(context, argv));
  if (await session.run(seen)) {
    await rm(directory, { recursive: true, force: true });
  }
}

/** So that the editor knows the syntax. */
function fileName(key: Uint8Array, value: Uint8Array, extension: string): string {
  const name = basename(visible(key)).replaceAll(/[^\w.-]/g, "_") || "value";
  const guessed = isJson(value) && !name.includes(".") ? "json" : "";
  const end = extension || guessed;
  return end === "" || name.endsWith(`.${end}`) ? name : `${name}.${end}`;
}

function editorOf(context: Context, argv: Arguments): string {
  const { environment } = context;
  return textFlag(argv, "editor") || environment["VISUAL"] || environment["EDITOR"] || "vi";
}

function isJson(value: Uint8Array): boolean {
  const text = Buffer.from(value).toString().trim();
  if (!/^[[{]/.test(text)) {
    return false;
  }
  return jsonFault(text) === undefined;
}

function jsonFault(text: string): string | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return textOf(error);
  }
}

class EditSession {
  readonly #context: Context;
  readonly #client: Client;
  readonly #key: Uint8Array;
  readonly #path: string;
  readonly #editor: string;

  constructor(context: Context, key: Uint8Array, path: string, editor: string) {
    this.#context = context;
    this.#client = context.client;
    this.#key = key;
    this.#path = path;
    this.#editor = editor;
  }

  /** Resolves with whether the file is needed no more. */
  async run(first: KeyValue | undefined): Promise<boolean> {
    const { io } = this.#context;
    let seen = first;
    await writeFile(this.#path, seen?.value ?? noBytes, { mode: 0o600 });
    for (;;) {
      await this.#openEditor();
      const typed = await this.#typed(seen);
      if (sameValue(typed, seen?.value ?? noBytes) && seen !== undefined) {
        io.line("nothing was changed");
        return true;
      }
      const fault = this.#faultOf(typed, seen);
      if (fault !== undefined) {
        if (!(await this.#asks(`${fault}\nEdit again? [Y/n] `, fault))) {
          return this.#leave();
        }
        continue;
      }
      const now = await this.#put(typed, seen);
      if (now === "written") {
        return true;
      }
      io.errorLine(`${visible(this.#key)} was changed meanwhile, and was not overwritten:`);
      const name = visible(this.#key);
      showDiff(
        io,
        { name: `${name} as you opened it`, value: seen?.value },
        { name: `${name} now`, value: now?.value },
      );
      if (!(await this.#asks("Bring both together in the editor? [Y/n] ", undefined))) {
        return this.#leave();
      }
      await writeFile(this.#path, withConflict(typed, now?.value ?? noBytes, now?.modRevision));
      seen = now;
    }
  }

  async #openEditor(): Promise<void> {
    const child = spawn("/bin/sh", ["-c", `${this.#editor} "$1"`, "sh", this.#path], {
      stdio: "inherit",
    });
    const [code] = (await once(child, "exit")) as [number | null];
    if (code !== 0) {
      throw new CommandError(
        exitCodes.error,
        `the editor ended with ${code ?? "a signal"}; nothing was written`,
        `your text is in ${this.#path}; --editor or $EDITOR names another editor`,
      );
    }
  }

  /** Editors end the last line; where the value had no such end it is taken away again. */
  async #typed(seen: KeyValue | undefined): Promise<Uint8Array> {
    const typed = await readFile(this.#path);
    const before = seen?.value ?? noBytes;
    const adds = typed.at(-1) === 0x0a && typed.at(-2) !== 0x0a && before.at(-1) !== 0x0a;
    return adds ? typed.subarray(0, -1) : typed;
  }

  #faultOf(typed: Uint8Array, seen: KeyValue | undefined): string | undefined {
    const text = Buffer.from(typed).toString();
    if (/^(?:<{7}|>{7}) /m.test(text)) {
      return "The marks of a conflict are still in the text";
    }
    if (seen !== undefined && isJson(seen.value)) {
      const fault = jsonFault(text);
      return fault === undefined ? undefined : `The value was JSON and is no more: ${fault}`;
    }
    return undefined;
  }

  /** "written", or what somebody else has made of the key. */
  async #put(
    value: Uint8Array,
    seen: KeyValue | undefined,
  ): Promise<"written" | KeyValue | undefined> {
    const key = this.#key;
    const ignoreLease = seen !== undefined;
    const put: RequestOp = {
      request: { kind: "requestPut", value: PutRequest.create({ key, value, ignoreLease }) },
    };
    const get: RequestOp = {
      request: { kind: "requestRange", value: RangeRequest.create({ key }) },
    };
    const reply = await orFail(
      this.#client.txn({ compare: [unchanged(key, seen)], success: [put], failure: [get] }),
      undefined,
      (text) => `${text} (your text is in ${this.#path})`,
    );
    if (reply.succeeded) {
      this.#context.io.line(`written at revision ${reply.header?.revision ?? 0}`);
      return "written";
    }
    const { response } = reply.responses[0] ?? {};
    return response?.kind === "responseRange" ? response.value.kvs[0] : undefined;
  }

  /** Without somebody to ask, `fault` fails the command, and a conflict keeps the file. */
  async #asks(question: string, fault: string | undefined): Promise<boolean> {
    const { io } = this.#context;
    if (!io.terminal.isInteractive) {
      if (fault !== undefined) {
        throw new CommandError(exitCodes.invalidInput, fault, `your text is in ${this.#path}`);
      }
      return false;
    }
    io.errorWrite(question);
    return !/^n/i.test((await io.readLine()) ?? "n");
  }

  #leave(): never {
    throw new CommandError(exitCodes.error, "nothing was written", `your text is in ${this.#path}`);
  }
}

export const editVerbs: readonly Verb[] = [
  {
    name: "edit",
    usage: "<key>",
    doc: "Change a value in $EDITOR; what somebody else changes meanwhile is not overwritten",
    examples: ["edit /app/config", "edit --editor='code --wait' /app/config"],
    flags: [
      valueFlag("editor", "Command to edit with", { default: "$VISUAL, $EDITOR or vi" }),
      valueFlag("extension", "End of the file's name, for the editor: yaml"),
      boolFlag("binary", "Also a value that is no text"),
    ],
    run: edit,
  },
];
