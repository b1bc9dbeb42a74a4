// Runs a golden script on one member's lessor. Under each command stands, indented, its answer.
//
//   at MS                       the time of what follows
//   grant ID TTL | revoke ID | checkpoint ID SECONDS    as applied from the log
//   promote [EXTENSION-MS] | demote
//   renew ID | left ID | expired MAX | due
//   leases | dirty              what is there; what would be written to the engine
//   restart                     a new lessor, loaded with what was written

import { bytesToHex, toLeaseId } from "../../src/base/index.ts";
import { Lessor } from "../../src/lease/index.ts";
import type { Row } from "../../src/storage/engine.ts";

export function runScript(text: string): string {
  const run = new ScriptRun();
  const rendered: string[] = [];
  for (const line of text.trimEnd().split("\n")) {
    if (line.startsWith("  ")) {
      continue;
    }
    rendered.push(line);
    if (line !== "" && !line.startsWith("#")) {
      rendered.push(...run.command(line).map((output) => `  ${output}`));
    }
  }
  return `${rendered.join("\n")}\n`;
}

class ScriptRun {
  #lessor = new Lessor({ checkpointIntervalSeconds: 300 });
  readonly #records = new Map<string, Row>();
  #nowMs = 0;

  command(line: string): string[] {
    const [verb = "", ...words] = line.split(/\s+/);
    const first = Number(words[0] ?? 0);
    const second = Number(words[1] ?? 0);
    const id = toLeaseId(BigInt(words[0] ?? 0));
    switch (verb) {
      case "at":
        this.#nowMs = first;
        return [];
      case "grant": {
        const outcome = this.#lessor.grant(id, second);
        return [
          outcome.kind === "granted" ? `granted ${outcome.ttlSeconds}s` : `refused ${outcome.code}`,
        ];
      }
      case "revoke":
        return [this.#lessor.revoke(id) ? "revoked" : "not found"];
      case "checkpoint":
        this.#lessor.checkpoint(id, second);
        return [];
      case "promote":
        this.#lessor.promote(this.#nowMs, first);
        return [];
      case "demote":
        this.#lessor.demote();
        return [];
      default:
        return this.#question(verb, words[0] ?? "0");
    }
  }

  #question(verb: string, word: string): string[] {
    const id = toLeaseId(BigInt(word));
    switch (verb) {
      case "renew": {
        const outcome = this.#lessor.renew(id, this.#nowMs);
        return [outcome.kind === "renewed" ? `renewed ${outcome.ttlSeconds}s` : outcome.kind];
      }
      case "left":
        return [`${this.#lessor.remainingMs(id, this.#nowMs)}ms`];
      case "expired": {
        const ids = this.#lessor.expired(this.#nowMs, Number(word));
        return [ids.join(" ") || "none"];
      }
      case "due": {
        const due = this.#lessor.checkpointsDue(this.#nowMs);
        return [due.map((one) => `${one.id}=${one.remainingTtlSeconds}s`).join(" ") || "none"];
      }
      case "leases":
        return this.#lessor.ids().map((one) => {
          const lease = this.#lessor.get(one);
          return `${one} ttl=${lease?.grantedTtlSeconds} left=${lease?.remainingTtlSeconds}`;
        });
      case "dirty":
        return this.#write();
      case "restart":
        this.#lessor = new Lessor({ checkpointIntervalSeconds: 300 });
        this.#lessor.load([...this.#records.values()]);
        return [];
      default:
        throw new Error(`unknown command ${verb}`);
    }
  }

  #write(): string[] {
    return this.#lessor.collectDirty().map((operation) => {
      const hex = bytesToHex(operation.key);
      if (operation.kind === "delete") {
        this.#records.delete(hex);
        return `delete ${hex}`;
      }
      this.#records.set(hex, [operation.key, operation.value]);
      return `put ${hex} ${bytesToHex(operation.value)}`;
    });
  }
}
