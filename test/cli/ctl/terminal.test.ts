// On a real terminal: colours, progress, hidden passwords, what is typed line by line, Control-C.
// In a pipe nothing of that is seen.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Progress } from "../../../src/cli/ctl/progress.ts";
import { noTerminal } from "../../../src/cli/ctl/terminal.ts";
import { type Client, connect, keyBytes, oneKey, prefixRange } from "../../../src/client/index.ts";
import { MemoryIo } from "../../support/memory-io.ts";
import { ClusterProcesses } from "../../support/processes.ts";
import { Running } from "./running.ts";

let cluster: ClusterProcesses;
let client: Client;
let env: Readonly<Record<string, string>> = {};

beforeAll(async () => {
  cluster = await ClusterProcesses.start(1);
  const [endpoint = ""] = cluster.endpoints;
  client = connect({ endpoints: [endpoint] });
  env = { QUORATECTL_ENDPOINTS: endpoint };
  await client.put({ key: keyBytes("a"), value: keyBytes("1") });
});
afterAll(async () => {
  client?.close();
  await cluster?.[Symbol.asyncDispose]();
});

function onTerminal(args: readonly string[], extra: Readonly<Record<string, string>> = {}) {
  return new Running("quoratectl", args, { env: { ...env, ...extra }, terminal: true });
}

function inPipe(args: readonly string[], extra: Readonly<Record<string, string>> = {}) {
  return new Running("quoratectl", args, { env: { ...env, ...extra } });
}

const escape = "\u001b";

function withoutColours(text: string): string {
  return text
    .split(escape)
    .map((part, at) => (at === 0 ? part : part.replace(/^\[\d+m/, "")))
    .join("");
}

describe("colours", () => {
  it("are on a terminal and not in a pipe", async () => {
    using shown = onTerminal(["get", "a"]);
    expect((await shown.end()).out).toBe(`${escape}[36ma${escape}[39m\r\n1\r\n`);
    using piped = inPipe(["get", "a"]);
    expect((await piped.end()).out).toBe("a\n1\n");
  });

  it("obey NO_COLOR, TERM=dumb and FORCE_COLOR", async () => {
    for (const variable of [{ NO_COLOR: "1" }, { TERM: "dumb" }]) {
      using shown = onTerminal(["get", "a"], variable);
      expect((await shown.end()).out).toBe("a\r\n1\r\n");
    }
    using forced = inPipe(["get", "a"], { FORCE_COLOR: "1" });
    expect((await forced.end()).out).toContain(`${escape}[36m`);
  });

  it("mark errors and what is healthy", async () => {
    using failing = onTerminal(["get", "a", "--rev=1000000"]);
    const { out, exit } = await failing.end();
    expect(exit).toBe(1);
    expect(out).toContain(`${escape}[31mError:${escape}[39m etcdserver: mvcc: required revision`);
    using health = onTerminal(["endpoint", "health"]);
    expect((await health.end()).out).toContain(`${escape}[32mhealthy${escape}[39m`);
  });
});

describe("passwords", () => {
  it("are asked for twice and not shown", async () => {
    using adding = onTerminal(["user", "add", "typed"]);
    await adding.until("Password of typed: ");
    adding.type("pässt\u007f\u007fwort\r");
    await adding.until("again for confirmation: ");
    adding.type("päswort\r");
    const { out, exit } = await adding.end();
    expect(exit).toBe(0);
    expect(out).toContain("User typed created");
    expect(out).not.toContain("wort");
  });

  it("end the command when they differ, and at Control-C", async () => {
    using differing = onTerminal(["user", "passwd", "typed"]);
    await differing.until("Password of typed: ");
    differing.type("one\rtwo\r");
    const { out, exit } = await differing.end();
    expect({ exit, said: out.includes("given passwords are different") }).toEqual({
      exit: 128,
      said: true,
    });
    using interrupted = onTerminal(["user", "passwd", "typed"]);
    await interrupted.until("Password of typed: ");
    interrupted.type("\u0003");
    expect((await interrupted.end()).exit).toBe(130);
  });

  it("of --user are asked for where a person sees it", async () => {
    using asked = onTerminal(["get", "a", "--user=typed"]);
    await asked.until("Password: ");
    asked.type("päswort\r");
    const { out, exit } = await asked.end();
    // Authentication is off: whoever it is may read.
    expect({ exit, out: withoutColours(out) }).toEqual({
      exit: 0,
      out: "Password: \r\na\r\n1\r\n",
    });
  });
});

describe("what is typed", () => {
  it("is a transaction, section by section", async () => {
    using txn = onTerminal(["txn", "-i"]);
    await txn.until("compares:");
    txn.type('mod("a") > "0"\r\r');
    await txn.until("success requests (get, put, del):");
    txn.type('put typed "in a terminal"\rget typed\r\r');
    await txn.until("failure requests (get, put, del):");
    txn.type("\r");
    const { out, exit } = await txn.end();
    expect(exit).toBe(0);
    expect(withoutColours(out)).toMatch(/SUCCESS\r\n\r\nOK\r\n\r\ntyped\r\nin a terminal\r\n$/);
  });

  it("are watches, until Control-D", async () => {
    const { header } = await client.put({ key: keyBytes("watched"), value: keyBytes("1") });
    using watch = onTerminal(["watch", "-i"]);
    watch.type("wach x\r");
    await watch.until("Invalid command wach x (only support watch)");
    watch.type(`watch watched --rev=${header?.revision}\r`);
    await watch.until(/PUT[^]*watched/);
    await client.deleteRange(oneKey("watched"));
    await watch.until(/DELETE[^]*watched/);
    watch.type("\u0004");
    expect((await watch.end()).exit).toBe(3);
  });

  it("is Control-C: a lock is given back", async () => {
    using lock = onTerminal(["lock", "held"]);
    await lock.until(/held\/[0-9a-f]+/);
    lock.type("\u0003");
    expect((await lock.end()).exit).toBe(0);
    expect((await client.range(prefixRange("held/"))).count).toBe(0);
    expect((await client.leases()).leases).toEqual([]);
  });
});

describe("progress", () => {
  it("is a bar on a terminal, and gone when the work ends", async () => {
    using shown = onTerminal(["check", "datascale"]);
    await shown.until(/check datascale .*\[#+ *\] .*\d+% .*keys, .* left/);
    shown.type("\u0003");
    const { out, exit } = await shown.end();
    expect(exit).toBe(1);
    // Where the bar was, the line begins anew.
    const last = withoutColours(out.slice(out.lastIndexOf("\r\u001b[K") + 4));
    expect(last).toBe("Error: context canceled\r\n");
    expect((await client.range(prefixRange("/etcdctl-check-datascale/"))).count).toBe(0);
  });

  it("is nothing in a pipe, nor in the first second", () => {
    const screen = (isTerminal: boolean) => ({ ...noTerminal.errors, isTerminal });
    const piped = new MemoryIo("", { ...noTerminal, errors: screen(false) });
    const quick = new MemoryIo("", { ...noTerminal, errors: screen(true) });
    for (const io of [piped, quick]) {
      using progress = new Progress(io, "work");
      progress.count(1, "keys", 2);
      progress.bytes(1, undefined);
    }
    expect([piped.err, quick.err]).toEqual(["", ""]);
  });
});
