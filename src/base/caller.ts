// Who asks for something, as its front door found out.

/** A user and the auth revision at which the front door knew it. */
export interface Caller {
  readonly user: string;
  /** 0 for nobody: no token, no certificate. */
  readonly authRevision: number;
}

/** A call that brought nothing to know its user by. */
export const nobody: Caller = { user: "", authRevision: 0 };

/**
 * The cluster itself: commands that no client asked for (leases that ran out, the quota's alarm,
 * automatic compaction). No front door makes it of anything that a client sent.
 */
export const system: Caller = { user: "", authRevision: Number.MAX_SAFE_INTEGER };

export function isSystem(caller: Caller | undefined): boolean {
  return caller?.authRevision === system.authRevision && caller.user === "";
}
