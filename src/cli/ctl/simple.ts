// -w simple: what a person wants to see and a script to cut.

import { idToHex } from "../../base/index.ts";
import { AlarmType, type KeyValue, type ResponseHeader } from "../../wire/index.ts";
import { durationText, hexText, leaseText } from "./go-text.ts";
import type { Output } from "./io.ts";
import type { Printer } from "./printer.ts";
import { hashRows, memberRows, type Rows, snapshotRows, statusRows } from "./rows.ts";

export interface SimpleOptions {
  readonly hex: boolean;
  readonly valueOnly: boolean;
}

/** Keys and values as they are, or in hex, a line each. */
export function simplePrinter(output: Output, options: SimpleOptions): Printer {
  const bytes = (value: Uint8Array): string | Uint8Array => (options.hex ? hexText(value) : value);
  const pair = (kv: KeyValue | undefined): void => {
    if (kv !== undefined) {
      if (!options.valueOnly) {
        output.line(bytes(kv.key));
      }
      output.line(bytes(kv.value));
    }
  };
  const rows = ({ rows: all }: Rows): void => {
    for (const row of all) {
      output.line(row.join(", "));
    }
  };
  const changed = (id: bigint, how: string, header: ResponseHeader | undefined): void => {
    const cluster = idToHex(header?.clusterId ?? 0n).padStart(16);
    output.line(`Member ${idToHex(id).padStart(16)} ${how} cluster ${cluster}`);
  };
  return {
    get: (reply) => reply.kvs.forEach(pair),
    put(reply) {
      output.line("OK");
      pair(reply.prevKv);
    },
    del(reply) {
      output.line(String(reply.deleted));
      reply.prevKvs.forEach(pair);
    },
    watch(reply) {
      for (const event of reply.events) {
        output.line(event.type === 0 ? "PUT" : "DELETE");
        pair(event.prevKv);
        pair(event.kv);
      }
    },
    ...leasePrinter(output),
    memberList: (reply) => rows(memberRows(reply)),
    memberAdd: ({ member, header }) => changed(member?.id ?? 0n, "added to", header),
    memberRemove: (id, { header }) => changed(id, "removed from", header),
    memberUpdate: (id, { header }) => changed(id, "updated in", header),
    memberPromote: (id, { header }) => changed(id, "promoted in", header),
    alarm(reply) {
      for (const { memberId, alarm } of reply.alarms) {
        output.line(`memberID:${memberId} alarm:${alarmName(alarm)} `);
      }
    },
    endpointStatus: (list) => rows(statusRows(list)),
    endpointHealth(list) {
      for (const { endpoint, tookNanoseconds, error } of list) {
        const took = durationText(tookNanoseconds);
        output.errorLine(
          error === ""
            ? `${endpoint} is healthy: successfully committed proposal: took = ${took}`
            : `${endpoint} is unhealthy: failed to commit proposal: ${error}`,
        );
      }
    },
    endpointHashKv: (list) => rows(hashRows(list)),
    snapshotStatus: (status) => rows(snapshotRows(status)),
    moveLeader: (from, to) =>
      output.line(`Leadership transferred from ${idToHex(from)} to ${idToHex(to)}`),
  };
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
