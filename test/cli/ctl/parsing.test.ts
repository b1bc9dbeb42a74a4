// How quoratectl reads a command line, a line of input and bytes that are no text.

import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { connectionOf, discoverEndpoints } from "../../../src/cli/ctl/connection.ts";
import {
  argumentsOf,
  durationFault,
  durationMs,
  type ReadFlag,
  readLine,
  wholeOf,
} from "../../../src/cli/ctl/go-flags.ts";
import { goQuote, goUnquote } from "../../../src/cli/ctl/go-text.ts";
import { runControl } from "../../../src/cli/ctl/main.ts";
import { quotedWords } from "../../../src/cli/ctl/quoted-words.ts";
import { bytesOf, textOfBytes } from "../../../src/cli/ctl/raw-text.ts";
import { environmentLayer, flagLayer, Settings } from "../../../src/cli/ctl/settings.ts";
import { verbs } from "../../../src/cli/ctl/verbs.ts";
import { nameVerb } from "../../../src/cli/ctl/words.ts";
import { MemoryIo } from "../../support/memory-io.ts";
import { commandOf } from "./running.ts";

const table: readonly ReadFlag[] = [
  { name: "prefix", kind: "bool" },
  { name: "interactive", short: "i", kind: "bool" },
  { name: "write-out", short: "w", kind: "text" },
  { name: "limit", kind: "whole" },
  { name: "endpoints", kind: "list" },
];

describe("flags", () => {
  it.each([
    ["a --prefix b", { prefix: true }, ["a", "b"]],
    ["--prefix=false a", { prefix: false }, ["a"]],
    ["--prefix false", { prefix: true }, ["false"]],
    ["-w json a", { "write-out": "json" }, ["a"]],
    ["-wjson -i", { "write-out": "json", interactive: true }, []],
    ["-iw=json", { "write-out": "json", interactive: true }, []],
    ["--limit=3 --limit=0x10", { limit: "0x10" }, []],
    ["--endpoints=a,b --endpoints c", { endpoints: "a,b,c" }, []],
    ["a -- --prefix -w", {}, ["a", "--prefix", "-w"]],
    ["- a", {}, ["-", "a"]],
    ["--write-out=", { "write-out": "" }, []],
  ])("%s", (text, flags, words) => {
    const { "--": read, dash: _, ...given } = argumentsOf(readLine(text.split(" "), table), table);
    expect({ read, given }).toEqual({ read: words, given: flags });
  });

  it("say where the words behind -- begin", () => {
    expect(readLine(["a", "--", "b", "--", "c"], table)).toMatchObject({
      words: ["a", "b", "--", "c"],
      dash: 1,
    });
    expect(readLine(["a"], table).dash).toBeUndefined();
  });

  it("suggest the one that was meant", async () => {
    const io = new MemoryIo();
    expect(await runControl(["get", "a", "--prefx"], {}, io)).toBe(1);
    expect(io.err).toBe("Error: unknown flag: --prefx\nHint: did you mean --prefix?\n");
  });

  it("read whole numbers and durations as Go does", () => {
    expect(["0x10", "-0b11", "010", "0o17", "1_000"].map(wholeOf)).toEqual([
      16n,
      -3n,
      8n,
      15n,
      1000n,
    ]);
    expect(["", "08", "1.5", "x", "--1"].map(wholeOf)).toEqual(Array(5).fill(undefined));
    expect(["1.5s", "1h2m3s4ms", "-2us", "0", ".5s"].map(durationMs)).toEqual([
      1500, 3_723_004, -0.002, 0, 500,
    ]);
    expect(["1.5s", "0", "-1h2m", ".5s"].map(durationFault)).toEqual(Array(4).fill(undefined));
    expect(["5", "5x", "", "s", "1s2"].map(durationFault)).toEqual([
      'time: missing unit in duration "5"',
      'time: unknown unit "x" in duration "5x"',
      'time: invalid duration ""',
      'time: invalid duration "s"',
      'time: missing unit in duration "1s2"',
    ]);
  });
});

describe("words", () => {
  const named = (...args: string[]) => nameVerb(args, verbs, table).path.join(" ");

  it("name verbs also by their beginnings, those of etcdctl first", () => {
    expect(named("lease", "grant", "60")).toBe("lease grant");
    expect(named("--endpoints", "get", "member", "-w", "json", "li")).toBe("member list");
    expect(["t", "w", "del", "u li", "role gr"].map((text) => named(...text.split(" ")))).toEqual([
      "txn",
      "watch",
      "del",
      "user list",
      "role grant-permission",
    ]);
    expect(named("lease")).toBe("lease");
  });

  it("that name nothing are answered with what was meant", async () => {
    const io = new MemoryIo();
    expect(await runControl(["lease", "garnt", "60"], {}, io)).toBe(1);
    expect(io.err).toBe(
      'Error: unknown command "garnt" for "quoratectl lease"\n\nDid you mean this?\n\tgrant\n\n' +
        "Hint: 'quoratectl lease --help' lists the commands\n",
    );
  });
});

describe("bytes that are no text", () => {
  it("survive as strings, whatever they are", () => {
    const bytes = fc.uint8Array({ maxLength: 40 });
    fc.assert(
      fc.property(bytes, (given) => {
        expect([...bytesOf(textOfBytes(given))]).toEqual([...given]);
        expect([...bytesOf(goUnquote(goQuote(given)) ?? "none")]).toEqual([...given]);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(textOfBytes(bytesOf(text))).toBe(text);
      }),
    );
  });

  it("come through the command line of a process", () => {
    // An endpoint is refused before anything is connected, and shown as it was given.
    const quoratectl = commandOf("quoratectl").join(" ");
    const script = `${quoratectl} get a --endpoints="$(printf 'x\\377 y\\303\\251')"`;
    const { stderr } = spawnSync("sh", ["-c", script], { encoding: "utf8" });
    expect(stderr).toContain(String.raw`cannot connect to "x\xff yé"`);
  });
});

describe("a line of input", () => {
  it.each([
    ['put "a b" c', ["put", "a b", "c"]],
    [String.raw`put "\x41\"\n\u00e9" 'single q'`, ["put", 'A"\né', "single q"]],
    ["  watch   a  ", ["watch", "a"]],
    ["", []],
  ])("%s", (line, words) => {
    expect(quotedWords(line)).toEqual(words);
  });

  it("with an escape that Go does not have is refused", () => {
    expect(() => quotedWords(String.raw`put "\q"`)).toThrow(/bad quoted string/);
  });
});

describe("settings", () => {
  it("come from flags, then QUORATECTL_, then ETCDCTL_", () => {
    const environment = { QUORATECTL_HEX: "true", ETCDCTL_HEX: "false", ETCDCTL_WRITE_OUT: "json" };
    const settings = new Settings([
      flagLayer(new Map([["endpoints", "a, b ,a"]])),
      environmentLayer("QUORATECTL_", environment),
      environmentLayer("ETCDCTL_", environment),
    ]);
    expect(settings.list("endpoints")).toEqual(["a", "b"]);
    expect(settings.bool("hex")).toBe(true);
    expect(settings.text("write-out")).toBe("json");
    expect(settings.durationMs("dial-timeout")).toBe(2_000);
  });

  it("that are none are refused with the variable's name", async () => {
    const io = new MemoryIo();
    const exit = await runControl(["get", "a"], { ETCDCTL_DIAL_TIMEOUT: "soon" }, io);
    expect({ exit, err: io.err }).toEqual({
      exit: 128,
      err: 'Error: invalid value "soon" for ETCDCTL_DIAL_TIMEOUT: time: invalid duration "soon"\n',
    });
  });

  it("are printed with --debug, but for passwords", async () => {
    const io = new MemoryIo();
    const args = ["get", "a", "--debug", "--user=root:hidden", "--endpoints=127.0.0.1:1"];
    expect(await runControl([...args, "--command-timeout=1s"], {}, io)).toBe(1);
    expect(io.err).toContain("ETCDCTL_ENDPOINTS=127.0.0.1:1\n");
    expect(io.err).toContain("ETCDCTL_USER=root:***\n");
    expect(io.err).not.toContain("hidden");
    expect(io.err).toContain(
      "Error: context deadline exceeded\nHint: 127.0.0.1:1: connection refused",
    );
    expect(io.err).toMatch(/UnavailableError|DeadlineExceededError/);
  });
});

describe("endpoints", () => {
  const records: Readonly<Record<string, readonly { name: string; port: number }[]>> = {
    "_etcd-client-ssl._tcp.example.org": [{ name: "one.example.org.", port: 2379 }],
    "_etcd-client._tcp.example.org": [{ name: "two.example.org", port: 2380 }],
    "_etcd-client-blue._tcp.example.org": [{ name: "blue.example.org", port: 1 }],
  };
  const resolve = (service: string) => {
    const found = records[service];
    return found === undefined ? Promise.reject(new Error("ENOTFOUND")) : Promise.resolve(found);
  };

  it("come from SRV records", async () => {
    expect(await discoverEndpoints("example.org", "", true, resolve)).toEqual([
      "https://one.example.org:2379",
      "http://two.example.org:2380",
    ]);
    expect(await discoverEndpoints("example.org", "", false, resolve)).toEqual([
      "https://one.example.org:2379",
    ]);
    expect(await discoverEndpoints("example.org", "blue", true, resolve)).toEqual([
      "http://blue.example.org:1",
    ]);
    await expect(discoverEndpoints("example.com", "", true, resolve)).rejects.toThrow(
      /--discovery-srv found no endpoints .*_etcd-client\._tcp\.example\.com: ENOTFOUND/,
    );
  });

  it("are asked of --discovery-srv, whose name certificates must then have", async () => {
    const flags = new Map([
      ["discovery-srv", "example.org"],
      ["insecure-discovery", "false"],
    ]);
    const connection = await connectionOf(
      new Settings([flagLayer(flags)]),
      new MemoryIo(),
      resolve,
    );
    expect(connection).toMatchObject({
      endpoints: ["https://one.example.org:2379"],
      tls: { serverName: "example.org" },
    });
  });
});
