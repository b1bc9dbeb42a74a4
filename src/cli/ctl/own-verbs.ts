// The verbs that etcdctl does not have, and make-mirror.

import { editVerbs } from "./edit.ts";
import { mirrorVerbs } from "./mirror.ts";
import { revisionVerbs } from "./revisions.ts";
import { transferVerbs } from "./transfer.ts";
import { treeVerbs } from "./tree.ts";
import type { Verb } from "./verb.ts";

export const ownVerbs: readonly Verb[] = [
  ...mirrorVerbs,
  ...transferVerbs,
  ...treeVerbs,
  ...editVerbs,
  ...revisionVerbs,
];
