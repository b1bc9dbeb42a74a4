// Members with certificates as processes, and requests to them without any tool.

import { connect } from "node:http2";
import { request as requestPlain } from "node:http";
import { request as requestSecure, type RequestOptions } from "node:https";
import { join } from "node:path";
import type { Authority, CertificateFolder, Leaf } from "../support/certificates.ts";
import { freePorts } from "../support/ports.ts";
import { MemberProcess } from "../support/processes.ts";

/** Members that only know each other by https, with what flags each one has of its own. */
export async function makeMembers(
  folder: CertificateFolder,
  size: number,
  flagsOf: (name: string) => readonly string[],
): Promise<MemberProcess[]> {
  const ports = await freePorts(size * 2);
  const names = Array.from({ length: size }, (_, i) => `node${i + 1}`);
  const peerUrl = (i: number): string => `https://127.0.0.1:${ports[size + i]}`;
  const initialCluster = names.map((name, i) => `${name}=${peerUrl(i)}`).join(",");
  return names.map(
    (name, i) =>
      new MemberProcess({
        name,
        clientPort: ports[i] ?? 0,
        peerPort: ports[size + i] ?? 0,
        dataDirectory: join(folder.path, `data-${name}`),
        flags: [
          `--listen-peer-urls=${peerUrl(i)}`,
          `--initial-advertise-peer-urls=${peerUrl(i)}`,
          `--initial-cluster=${initialCluster}`,
          ...flagsOf(name),
        ],
      }),
  );
}

/** The last one of a flag counts. */
export function addFlags(member: MemberProcess | undefined, ...flags: readonly string[]): void {
  (member?.options.flags as string[] | undefined)?.push(...flags);
}

export function peerFlags(ca: Authority, leaf: Leaf): string[] {
  return [
    `--peer-cert-file=${leaf.certFile}`,
    `--peer-key-file=${leaf.keyFile}`,
    `--peer-trusted-ca-file=${ca.caFile}`,
    "--peer-client-cert-auth",
  ];
}

export function clientFlags(ca: Authority): string[] {
  const { certFile, keyFile } = ca.leaf("server");
  return [`--cert-file=${certFile}`, `--key-file=${keyFile}`];
}

/** Resolves once a member has logged `text`. */
export async function logged(member: MemberProcess | undefined, text: string): Promise<void> {
  const endMs = performance.now() + 15_000;
  while (!(member?.log.includes(text) ?? false)) {
    if (performance.now() > endMs) {
      throw new Error(`not logged: ${text}\n${member?.log}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export interface Asking {
  readonly ca?: string;
  readonly client?: Leaf;
  readonly host?: string;
  /** Posted as it is. */
  readonly body?: string;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** A request over HTTP/1.1. Rejects when there is no answer. */
export function ask(url: string, { ca, client, host, body }: Asking = {}): Promise<Answer> {
  const options: RequestOptions = {
    method: body === undefined ? "GET" : "POST",
    agent: false,
    headers: host === undefined ? {} : { host },
    ca,
    cert: client?.cert,
    key: client?.key,
  };
  return new Promise((resolve, reject) => {
    const send = url.startsWith("https:") ? requestSecure : requestPlain;
    const sent = send(url, options, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** A GET over HTTP/2. */
export function askHttp2(url: string, { ca, client, host }: Asking = {}): Promise<Answer> {
  const { origin, pathname } = new URL(url);
  const session = connect(origin, { ca, cert: client?.cert, key: client?.key });
  return new Promise<Answer>((resolve, reject) => {
    session.on("error", reject);
    const stream = session.request({
      ":path": pathname,
      ...(host === undefined ? {} : { ":authority": host }),
    });
    let status = 0;
    let text = "";
    stream.on("response", (headers) => {
      status = headers[":status"] ?? 0;
    });
    stream.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    stream.on("end", () => resolve({ status, text }));
    stream.on("error", reject);
  }).finally(() => session.close());
}

/** Puts key a over the gateway, which takes a working cluster; the status. */
export async function put(url: string, asking: Asking = {}): Promise<number> {
  const body = '{"key":"YQ==","value":"MQ=="}';
  return (await ask(`${url}/v3/kv/put`, { ...asking, body })).status;
}
