// Why a server did not start, in one line.

interface SystemError extends Error {
  readonly code?: string;
  readonly address?: string;
  readonly port?: number;
}

const listenReasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "the address is already in use",
  EADDRNOTAVAIL: "this machine has no such address",
  EACCES: "permission denied",
};

/** The one line for the user; the cause of an error is part of it unless it says the same. */
export function describeStartFailure(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  const { code = "", address, port } = error as SystemError;
  const reason = listenReasons[code];
  if (reason !== undefined && address !== undefined) {
    const host = address.includes(":") ? `[${address}]` : address;
    return `cannot listen on ${port === undefined ? address : `${host}:${port}`}: ${reason}`;
  }
  const cause = error.cause instanceof Error ? describeStartFailure(error.cause) : "";
  const text = error.message.split("\n")[0] ?? error.name;
  return cause === "" || text.includes(cause) ? text : `${text}: ${cause}`;
}
