// -w simple: what a person wants to see and a script to cut.

import { idToHex } from "../../base/index.ts";
import { AlarmType, type KeyValue, type ResponseHeader } from "../../wire/index.ts";
import { durationText, hexText, leaseText } from "./go-text.ts";
import { simpleAuthPrinter } from "./auth-printers.ts";
import type { Io, Output } from "./io.ts";
import { type EndpointHealth, type Printer, printTxnReply } from "./printer.ts";
import { hashRows, memberRows, type Rows, snapshotRows, statusRows } from "./rows.ts";
import { paintBytes } from "./terminal.ts";

export interface SimpleOptions {
  readonly hex: boolean;
  readonly valueOnly: boolean;
}

/** Keys and values as they are, or in hex, a line each; with colours on a terminal. */
export function simplePrinter(io: Io, options: SimpleOptions): Printer {
  const { paint } = io.terminal.output;
  const bytes = (value: Uint8Array): string | Uint8Array => (options.hex ? hexText(value) : value);
  const pair = (kv: KeyValue | undefined): void => {
    if (kv !== undefined) {
      if (!options.valueOnly) {
        io.line(...paintBytes(paint, "cyan", bytes(kv.key)));
      }
      io.line(bytes(kv.value));
    }
  };
  const rows = ({ rows: all }: Rows): void => {
    for (const row of all) {
      io.line(row.join(", "));
    }
  };
  const changed = (id: bigint, how: string, header: ResponseHeader | undefined): void => {
    const cluster = idToHex(header?.clusterId ?? 0n).padStart(16);
    io.line(`Member ${idToHex(id).padStart(16)} ${how} cluster ${cluster}`);
  };
  const printer: Printer = {
    get: (reply) => reply.kvs.forEach(pair),
    put(reply) {
      io.line("OK");
      pair(reply.prevKv);
    },
    del(reply) {
      io.line(String(reply.deleted));
      reply.prevKvs.forEach(pair);
    },
    txn(reply) {
      io.line(reply.succeeded ? paint("green", "SUCCESS") : paint("yellow", "FAILURE"));
      for (const one of reply.responses) {
        io.line("");
        printTxnReply(printer, one);
      }
    },
    watch(reply) {
      for (const event of reply.events) {
        io.line(event.type === 0 ? paint("green", "PUT") : paint("red", "DELETE"));
        pair(event.prevKv);
        pair(event.kv);
      }
    },
    ...leasePrinter(io),
    ...simpleAuthPrinter(io),
    memberList: (reply) => rows(memberRows(reply)),
    memberAdd: ({ member, header }) => changed(member?.id ?? 0n, "added to", header),
    memberRemove: (id, { header }) => changed(id, "removed from", header),
    memberUpdate: (id, { header }) => changed(id, "updated in", header),
    memberPromote: (id, { header }) => changed(id, "promoted in", header),
    alarm(reply) {
      for (const { memberId, alarm } of reply.alarms) {
        io.line(`memberID:${memberId} alarm:${alarmName(alarm)} `);
      }
    },
    endpointStatus: (list) => rows(statusRows(list)),
    endpointHealth: (list) => list.forEach((one) => io.errorLine(healthLine(one, io))),
    endpointHashKv: (list) => rows(hashRows(list)),
    snapshotStatus: (status) => rows(snapshotRows(status)),
    moveLeader: (from, to) =>
      io.line(`Leadership transferred from ${idToHex(from)} to ${idToHex(to)}`),
  };
  return printer;
}

function healthLine({ endpoint, tookNanoseconds, error }: EndpointHealth, io: Io): string {
  const { paint } = io.terminal.errors;
  const took = durationText(tookNanoseconds);
  return error === ""
    ? `${endpoint} is ${paint("green", "healthy")}: successfully committed proposal: took = ${took}`
    : `${endpoint} is ${paint("red", "unhealthy")}: failed to commit proposal: ${error}`;
}

function leasePrinter(output: Output) {
  return {
    leaseGrant: (reply) =>
      output.line(`lease ${leaseText(reply.id)} granted with TTL(${reply.ttl}s)`),
    leaseRevoke: (id) => output.line(`lease ${leaseText(id)} revoked`),
    leaseKeepAlive: (reply) =>
      output.line(`lease ${leaseText(reply.id)} keepalived with TTL(${reply.ttl})`),
    leaseTimeToLive(reply, keys) {
      const id = leaseText(reply.id);
      if (reply.grantedTtl === 0 && reply.ttl === -1) {
        output.line(`lease ${id} already expired`);
        return;
      }
      const head = `lease ${id} granted with TTL(${reply.grantedTtl}s), remaining(${reply.ttl}s)`;
      const attached = reply.keys.map((key) => Buffer.from(key).toString());
      output.line(keys ? `${head}, attached keys([${attached.join(" ")}])` : head);
    },
    leases(reply) {
      output.line(`found ${reply.leases.length} leases`);
      for (const { id } of reply.leases) {
        output.line(leaseText(id));
      }
    },
  } satisfies Partial<Printer>;
}

/** The name of an alarm, or its number. */
export function alarmName(alarm: number): string {
  const found = Object.entries(AlarmType).find(([, number]) => number === alarm);
  return found?.[0] ?? String(alarm);
}
