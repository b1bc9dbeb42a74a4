// Makes a failing life smaller while it still fails: fewer kinds of faults, less time, fewer
// clients, fewer members. The failure may change on the way; any broken promise will do.

import { phaseOptions } from "./options.ts";
import type { SimOptions } from "./options.ts";
import { playLife } from "./run.ts";
import type { Report } from "./run.ts";

export async function shrink(failing: Report, tell: (line: string) => void): Promise<Report> {
  let smallest = failing;
  const tries = async (options: SimOptions, what: string): Promise<boolean> => {
    const report = await playLife(options);
    if (report.failure === undefined) {
      return false;
    }
    tell(`still fails ${what}: ${report.failure.split("\n")[0]}`);
    smallest = report;
    return true;
  };
  for (const fault of failing.options.faults) {
    const faults = smallest.options.faults.filter((each) => each !== fault);
    await tries({ ...smallest.options, faults }, `without ${fault}`);
  }
  for (const change of phaseOptions) {
    for (const value of change.values) {
      if (value < smallest.options[change.name]) {
        const options = { ...smallest.options, [change.name]: value };
        if (await tries(options, `with ${change.name} ${value}`)) {
          break;
        }
      }
    }
  }
  return smallest;
}
