// The one error of everything that reads a configuration: its message is the line that the user
// sees, and it names the setting.

export class ConfigError extends Error {
  override name = "ConfigError";
  /** 2 for a mistake in how flags are written, 1 for settings that do not fit, as in etcd. */
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** `value` in the quotes that etcd's messages use. */
export function quoted(value: string): string {
  return JSON.stringify(value);
}
