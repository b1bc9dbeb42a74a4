// Bugs that other systems shipped, planted into a copy of the sources: each a small change of one
// place. A place that cannot be found any more is an error, so the list ages with the code.

import { doorMutants } from "./doors.ts";
import type { Mutant } from "./mutant.ts";
import { raftMutants } from "./raft.ts";
import { stateMutants } from "./state.ts";

export const mutants: readonly Mutant[] = [...raftMutants, ...stateMutants, ...doorMutants];
