// A configuration as keys, one for each leaf, and as one object.
//
// "db/host" holds the JSON of `{ db: { host: ... } }`'s leaf. Objects are taken apart, arrays are
// leaves. In a name, "~" is written "~0" and "/" "~1", as JSON Pointer does (RFC 6901). A value
// that is no JSON is text, so that it may be put by hand: `put config/db/host localhost`.

/** Keys below the prefix, with what is stored there. */
export type Leaves = ReadonlyMap<string, string>;

interface Branch {
  leaf: unknown;
  readonly below: Map<string, Branch>;
}

function parse(stored: string): unknown {
  try {
    return JSON.parse(stored) as unknown;
  } catch {
    return stored;
  }
}

function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function keyOfPath(path: readonly string[]): string {
  return path.map((name) => name.replaceAll("~", "~0").replaceAll("/", "~1")).join("/");
}

function pathOfKey(key: string): string[] {
  return key.split("/").map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** The object that the keys make; a key deeper down stands over what one above it holds. */
export function objectOf(leaves: Leaves): unknown {
  const root: Branch = { leaf: undefined, below: new Map() };
  for (const [key, stored] of leaves) {
    let branch = root;
    for (const name of pathOfKey(key)) {
      const next: Branch = branch.below.get(name) ?? { leaf: undefined, below: new Map() };
      branch.below.set(name, next);
      branch = next;
    }
    branch.leaf = parse(stored);
  }
  root.leaf = {};
  return valueOf(root);
}

function valueOf({ leaf, below }: Branch): unknown {
  if (below.size === 0) {
    return leaf;
  }
  const own = isPlainObject(leaf) ? Object.entries(leaf) : [];
  const deeper = [...below].map(([name, branch]) => [name, valueOf(branch)] as const);
  // Defined, not assigned: a name like "__proto__" is a name.
  return Object.fromEntries([...own, ...deeper]);
}

/** The keys that an object makes. Throws TypeError for a value that JSON has no form for. */
export function leavesOf(value: unknown, path: readonly string[] = []): Map<string, string> {
  const leaves = new Map<string, string>();
  const isLeaf = !isPlainObject(value) || (Object.keys(value).length === 0 && path.length > 0);
  if (!isLeaf) {
    for (const [name, each] of Object.entries(value)) {
      if (each !== undefined) {
        for (const [key, leaf] of leavesOf(each, [...path, name])) {
          leaves.set(key, leaf);
        }
      }
    }
    return leaves;
  }
  const stored = JSON.stringify(value) as string | undefined;
  if (stored === undefined || path.length === 0) {
    throw new TypeError(`${keyOfPath(path) || "the whole"} is ${typeof value}, which has no JSON`);
  }
  return leaves.set(keyOfPath(path), stored);
}

/** Keys that differ, sorted. */
export function changedKeys(before: Leaves, after: Leaves): string[] {
  const keys = new Set([...before.keys(), ...after.keys()]);
  return [...keys].filter((key) => before.get(key) !== after.get(key)).sort();
}
