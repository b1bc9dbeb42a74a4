// The first members from SRV records, with a DNS of our own.

import { describe, expect, it } from "vitest";
import { discoverMembers, type SrvRecord, type SrvResolver } from "../../src/cli/srv-discovery.ts";

const addresses: Readonly<Record<string, readonly string[]>> = {
  "a.example": ["10.0.0.1"],
  "b.example": ["10.0.0.2", "fd00::2"],
  "c.example": ["10.0.0.3"],
  "alias.example": ["10.0.0.1"],
};

function resolver(records: Readonly<Record<string, readonly SrvRecord[]>>): SrvResolver {
  const orFail = <T>(found: T | undefined, name: string): Promise<T> =>
    found === undefined ? Promise.reject(new Error(`ENOTFOUND ${name}`)) : Promise.resolve(found);
  return {
    recordsOf: (service) => orFail(records[service], service),
    addressesOf: (host) => orFail(addresses[host], host),
  };
}

const at = (name: string, port = 2380): SrvRecord => ({ name, port });
const all = [at("a.example."), at("b.example"), at("c.example.")];
const plain = { "_etcd-server._tcp.example": all };
const domain = { domain: "example", serviceSuffix: "" };

function discover(
  own: readonly string[],
  records: Readonly<Record<string, readonly SrvRecord[]>>,
  where = domain,
): Promise<unknown> {
  return discoverMembers(where, "me", own, resolver(records)).catch(
    (error: unknown) => (error as Error).message,
  );
}

describe("--discovery-srv", () => {
  it("names the members as the records do, and finds this one by its address", async () => {
    const expected = [
      { name: "a.example:2380", peerUrls: ["http://a.example:2380"] },
      { name: "c.example:2380", peerUrls: ["http://c.example:2380"] },
      { name: "me", peerUrls: ["http://b.example:2380"] },
    ];
    for (const own of ["http://b.example:2380", "http://10.0.0.2:2380", "http://[fd00::2]:2380"]) {
      expect(await discover([own], plain)).toEqual(expected);
    }
    expect(await discover(["http://alias.example:2380"], plain)).toContainEqual({
      name: "me",
      peerUrls: ["http://a.example:2380"],
    });
  });

  it("joins the records with and without TLS, under the suffix given", async () => {
    const records = {
      "_etcd-server-ssl-west._tcp.example": [at("a.example")],
      "_etcd-server-west._tcp.example": [at("c.example", 7001)],
    };
    const west = { domain: "example", serviceSuffix: "west" };
    expect(await discover(["https://a.example:2380"], records, west)).toEqual([
      { name: "c.example:7001", peerUrls: ["http://c.example:7001"] },
      { name: "me", peerUrls: ["https://a.example:2380"] },
    ]);
  });

  it("says what it did not find", async () => {
    expect(await discover(["http://a.example:2380"], {})).toBe(
      "--discovery-srv found no members (_etcd-server-ssl._tcp.example: " +
        "ENOTFOUND _etcd-server-ssl._tcp.example; " +
        "_etcd-server._tcp.example: ENOTFOUND _etcd-server._tcp.example)",
    );
    expect(await discover(["http://a.example:9"], plain)).toContain(
      'cannot find local etcd member "me" in SRV records',
    );
    expect(await discover(["http://nowhere.example:2380"], plain)).toContain("cannot find local");
    expect(await discover(["https://a.example:2380"], plain)).toBe(
      "SRV records name http://a.example:2380 where this member advertises https://a.example:2380",
    );
  });
});
