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

/** The one line for the user. What caused it is for the log: see `causesOf`. */
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
  return error.message.split("\n")[0] ?? error.name;
}

/** The messages of what caused `error`, outermost first. */
export function causesOf(error: unknown): string[] {
  const causes: string[] = [];
  let cause = error instanceof Error ? error.cause : undefined;
  while (cause instanceof Error) {
    causes.push(cause.message);
    cause = cause.cause;
  }
  return causes;
}
