// The settings of a command: its flags, the variables, and the named context behind them.

import { contextLayer } from "./contexts.ts";
import { type Environment, environmentLayer, flagLayer, Settings } from "./settings.ts";

export function settingsOf(
  flags: ReadonlyMap<string, string>,
  environment: Environment,
  usesContexts: boolean,
): Settings {
  const given = [
    flagLayer(flags),
    environmentLayer("QUORATECTL_", environment),
    environmentLayer("ETCDCTL_", environment),
  ];
  return new Settings(
    usesContexts ? [...given, contextLayer(environment, new Settings(given))] : given,
  );
}
