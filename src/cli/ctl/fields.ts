// -w fields: one field a line, `"Name" : value`.

import { utf8 } from "../../base/index.ts";
import { type KeyValue, ResponseHeader } from "../../wire/index.ts";
import { fieldsAuthPrinter } from "./auth-printers.ts";
import { durationText, goQuote } from "./go-text.ts";
import type { Output } from "./io.ts";
import { type Printer, printTxnReply, refuseOthers } from "./printer.ts";
import type { Rows } from "./rows.ts";
import { alarmName } from "./simple.ts";

export class FieldWriter {
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  /** A value as it is. */
  field(name: string, value: string | number | bigint | boolean): void {
    this.#output.line(`"${name}" : ${value}`);
  }

  /** A text or bytes in quotes. */
  quoted(name: string, value: string | Uint8Array): void {
    this.field(name, goQuote(typeof value === "string" ? utf8(value) : value));
  }

  blank(): void {
    this.#output.line("");
  }

  header(header: ResponseHeader | undefined): void {
    const { clusterId, memberId, revision, raftTerm } = header ?? ResponseHeader.create();
    this.field("ClusterID", clusterId);
    this.field("MemberID", memberId);
    this.field("Revision", revision);
    this.field("RaftTerm", raftTerm);
  }

  pair(prefix: string, kv: KeyValue | undefined): void {
    if (kv !== undefined) {
      this.quoted(`${prefix}Key`, kv.key);
      this.field(`${prefix}CreateRevision`, kv.createRevision);
      this.field(`${prefix}ModRevision`, kv.modRevision);
      this.field(`${prefix}Version`, kv.version);
      this.quoted(`${prefix}Value`, kv.value);
      this.field(`${prefix}Lease`, kv.lease);
    }
  }
}

/** Rows as fields: a line a cell, a blank line after each row. */
export function fieldLines({ header, rows }: Rows): string[] {
  return rows.flatMap((row) => [
    ...header.map(
      (title, column) => `${goQuote(utf8(title))} : ${goQuote(utf8(row[column] ?? ""))}`,
    ),
    "",
  ]);
}

/** Everything a reply holds, for scripts that look for a name. */
export function fieldsPrinter(output: Output): Printer {
  const writer = new FieldWriter(output);
  return refuseOthers("fields", {
    ...keyPrinter(writer),
    ...leasePrinter(writer),
    ...memberPrinter(writer),
    ...fieldsAuthPrinter(writer),
  });
}

function keyPrinter(writer: FieldWriter) {
  const printer = {
    get(reply) {
      writer.header(reply.header);
      for (const kv of reply.kvs) {
        writer.pair("", kv);
      }
      writer.field("More", reply.more);
      writer.field("Count", reply.count);
    },
    put(reply) {
      writer.header(reply.header);
      writer.pair("Prev", reply.prevKv);
    },
    del(reply) {
      writer.header(reply.header);
      writer.field("Deleted", reply.deleted);
      for (const kv of reply.prevKvs) {
        writer.pair("Prev", kv);
      }
    },
    watch(reply) {
      writer.header(reply.header);
      for (const event of reply.events) {
        writer.field("Type", event.type === 0 ? "PUT" : "DELETE");
        writer.pair("Prev", event.prevKv);
        writer.pair("", event.kv);
      }
    },
    txn(reply) {
      writer.header(reply.header);
      writer.field("Succeeded", reply.succeeded);
      reply.responses.forEach((one) => printTxnReply(printer, one));
    },
  } satisfies Partial<Printer>;
  return printer;
}

function leasePrinter(writer: FieldWriter) {
  return {
    leaseGrant(reply) {
      writer.header(reply.header);
      writer.field("ID", reply.id);
      writer.field("TTL", reply.ttl);
    },
    leaseRevoke: (_, reply) => writer.header(reply.header),
    leaseKeepAlive(reply) {
      writer.header(reply.header);
      writer.field("ID", reply.id);
      writer.field("TTL", reply.ttl);
    },
    leaseTimeToLive(reply) {
      writer.header(reply.header);
      writer.field("ID", reply.id);
      writer.field("TTL", reply.ttl);
      writer.field("GrantedTTL", reply.grantedTtl);
      for (const key of reply.keys) {
        writer.quoted("Key", key);
      }
    },
    leases(reply) {
      writer.header(reply.header);
      for (const { id } of reply.leases) {
        writer.field("ID", id);
      }
    },
  } satisfies Partial<Printer>;
}

function memberPrinter(writer: FieldWriter) {
  return {
    memberList(reply) {
      writer.header(reply.header);
      for (const member of reply.members) {
        writer.field("ID", member.id);
        writer.quoted("Name", member.name);
        member.peerUrls.forEach((url) => writer.quoted("PeerURL", url));
        member.clientUrls.forEach((url) => writer.quoted("ClientURL", url));
        writer.field("IsLearner", member.isLearner);
        writer.blank();
      }
    },
    alarm(reply) {
      writer.header(reply.header);
      for (const { memberId, alarm } of reply.alarms) {
        writer.field("MemberID", memberId);
        writer.field("AlarmType", alarmName(alarm));
        writer.blank();
      }
    },
    endpointStatus(list) {
      for (const { endpoint, status } of list) {
        writer.header(status.header);
        writer.quoted("Version", status.version);
        writer.field("DBSize", status.dbSize);
        writer.field("Leader", status.leader);
        writer.field("IsLearner", status.isLearner);
        writer.field("RaftIndex", status.raftIndex);
        writer.field("RaftTerm", status.raftTerm);
        writer.field("RaftAppliedIndex", status.raftAppliedIndex);
        writer.field("Errors", `[${status.errors.join(" ")}]`);
        writer.quoted("Endpoint", endpoint);
        writer.blank();
      }
    },
    endpointHealth(list) {
      for (const { endpoint, health, tookNanoseconds, error } of list) {
        writer.quoted("Endpoint", endpoint);
        writer.field("Health", health);
        writer.field("Took", durationText(tookNanoseconds));
        writer.field("Error", error);
        writer.blank();
      }
    },
    snapshotStatus({ hash, revision, totalKeys, sizeBytes }) {
      writer.field("Hash", hash);
      writer.field("Revision", revision);
      writer.field("Keys", totalKeys);
      writer.field("Size", sizeBytes);
    },
    endpointHashKv(list) {
      for (const { endpoint, hash } of list) {
        writer.header(hash.header);
        writer.quoted("Endpoint", endpoint);
        writer.field("Hash", hash.hash);
        writer.blank();
      }
    },
  } satisfies Partial<Printer>;
}
