// The verbs that etcdctl does not have, those of etcdutl, and make-mirror.

import { completionVerbs } from "./completion.ts";
import { contextVerbs } from "./context-verbs.ts";
import { doctorVerbs } from "./doctor.ts";
import { editVerbs } from "./edit.ts";
import { mirrorVerbs } from "./mirror.ts";
import { offlineVerbs } from "./offline.ts";
import { revisionVerbs } from "./revisions.ts";
import { topVerbs } from "./top.ts";
import { transferVerbs } from "./transfer.ts";
import { treeVerbs } from "./tree.ts";
import type { Verb } from "./verb.ts";

export const ownVerbs: readonly Verb[] = [
  ...offlineVerbs,
  ...mirrorVerbs,
  ...transferVerbs,
  ...treeVerbs,
  ...editVerbs,
  ...revisionVerbs,
  ...topVerbs,
  ...doctorVerbs,
  ...contextVerbs,
  ...completionVerbs,
];
