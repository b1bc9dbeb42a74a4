// Why a call did not get through: each endpoint is tried once more, by hand, and what it does is
// told in words. Only for a command that has failed already.

import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectSecure } from "node:tls";
import type { Connection } from "./connection.ts";
import { textOf } from "./failure.ts";

const probeTimeoutMs = 1_000;
/** What a client of HTTP/2 says first, with empty settings. */
const preface = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);
const settingsFrame = 4;
const tlsAlert = 0x15;

/** A line for each endpoint. */
export function diagnose(connection: Connection): Promise<string[]> {
  return Promise.all(
    connection.endpoints.map(
      async (endpoint) => `${endpoint}: ${await probe(connection, endpoint)}`,
    ),
  );
}

async function probe(connection: Connection, endpoint: string): Promise<string> {
  const { tls } = connection;
  const secure =
    endpoint.startsWith("https://") || (tls !== undefined && !endpoint.startsWith("http:"));
  if (/^unixs?:/.test(endpoint)) {
    return "no answer; is a member listening on that socket?";
  }
  const { hostname, port } = new URL(`http://${endpoint.replace(/^https?:\/\//, "")}`);
  const address = { host: hostname.replace(/^\[(.*)\]$/, "$1"), port: Number(port) || 80 };
  const socket = secure
    ? connectSecure({
        ...address,
        ALPNProtocols: ["h2"],
        rejectUnauthorized: tls?.insecureSkipVerify !== true,
        ...(tls?.serverName === undefined ? {} : { servername: tls.serverName }),
        ...(tls?.ca === undefined ? {} : { ca: Buffer.from(tls.ca) }),
        ...(tls?.certificate === undefined ? {} : { cert: Buffer.from(tls.certificate) }),
        ...(tls?.privateKey === undefined ? {} : { key: Buffer.from(tls.privateKey) }),
      })
    : connectPlain(address);
  try {
    return await firstSign(socket, secure);
  } finally {
    socket.destroy();
  }
}

/** What the other side does first. */
function firstSign(socket: Socket, secure: boolean): Promise<string> {
  return new Promise((resolve) => {
    const timer = setTimeout(
      () => resolve("no answer; is the address right, and is it let through?"),
      probeTimeoutMs,
    );
    const done = (text: string): void => {
      clearTimeout(timer);
      resolve(text);
    };
    socket.once(secure ? "secureConnect" : "connect", () => socket.write(preface));
    socket.once("data", (bytes: Buffer) => done(answerText(bytes)));
    socket.once("error", (error) => done(faultText(error, secure)));
    socket.once("close", () =>
      done(
        secure
          ? "closes the connection; does it ask for a client's certificate (--cert, --key)?"
          : "closes the connection; if it speaks TLS, write https:// and give --cacert",
      ),
    );
  });
}

function answerText(bytes: Buffer): string {
  if (bytes[3] === settingsFrame) {
    return "answers, but no call came back in time; endpoint status shows whether there is a leader";
  }
  return bytes[0] === tlsAlert
    ? "speaks TLS: write https:// and give --cacert"
    : "answers, but does not speak gRPC";
}

const faults: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, "connection refused; is a member listening there?"],
  [/ENOTFOUND|EAI_AGAIN/, "no such host"],
  [/EHOSTUNREACH|ENETUNREACH/, "no way to that host"],
  [/wrong version number|packet length too long/, "does not speak TLS: write http://"],
  [
    /certificate required|handshake failure/,
    "asks for a client's certificate: give --cert and --key",
  ],
  [/self.signed|unable to (?:get|verify)|issuer/i, "its certificate is not signed by --cacert"],
  [/altnames|Hostname\/IP/, "its certificate is for another host"],
];

function faultText(error: Error, secure: boolean): string {
  const text = textOf(error);
  const code = "code" in error ? String(error.code) : "";
  const known = faults.find(([pattern]) => pattern.test(`${code} ${text}`))?.[1];
  const reason = text.replace(/^[0-9A-F]+:error:[^:]*:|\n[^]*$/g, "");
  return known === undefined ? reason : `${known}${secure ? ` (${reason})` : ""}`;
}
