// An interval tree: which ranges hold a key. A treap ordered by start, then end, in which each
// node also knows the furthest end below it, so that a lookup walks O(log n + found) nodes
// whatever the ranges are, nested or not.

import { compareBytes } from "../base/index.ts";
import type { Rng } from "../base/index.ts";

/** [key, end); undefined as end means no upper bound. */
interface Interval {
  readonly key: Uint8Array;
  readonly end: Uint8Array | undefined;
}

interface Node<T> extends Interval {
  readonly value: T;
  /** Heap order: no child's is higher. Drawn at random, it keeps the tree shallow. */
  readonly priority: number;
  left: Node<T> | undefined;
  right: Node<T> | undefined;
  /** Furthest end in this subtree. */
  furthest: Uint8Array | undefined;
}

export class IntervalTree<T> {
  readonly #rng: Rng;
  #root: Node<T> | undefined;
  #size = 0;

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  get size(): number {
    return this.#size;
  }

  get(key: Uint8Array, end: Uint8Array | undefined): T | undefined {
    const wanted = { key, end };
    let node = this.#root;
    while (node !== undefined) {
      const order = compareIntervals(wanted, node);
      if (order === 0) {
        return node.value;
      }
      node = order < 0 ? node.left : node.right;
    }
    return undefined;
  }

  /** Adds an interval that is not there yet. The bytes are kept, not copied. */
  add(key: Uint8Array, end: Uint8Array | undefined, value: T): void {
    this.#root = insert(this.#root, {
      key,
      end,
      value,
      priority: this.#rng.next(),
      left: undefined,
      right: undefined,
      furthest: end,
    });
    this.#size++;
  }

  /** Removes an interval that is there. */
  delete(key: Uint8Array, end: Uint8Array | undefined): void {
    this.#root = remove(this.#root, { key, end });
    this.#size--;
  }

  /** Appends the values of all intervals that hold `key`, by start and end. */
  collect(key: Uint8Array, into: T[]): void {
    collect(this.#root, key, into);
  }
}

function compareEnds(a: Uint8Array | undefined, b: Uint8Array | undefined): number {
  if (a === undefined || b === undefined) {
    return a === b ? 0 : a === undefined ? 1 : -1;
  }
  return compareBytes(a, b);
}

function compareIntervals(a: Interval, b: Interval): number {
  return compareBytes(a.key, b.key) || compareEnds(a.end, b.end);
}

function isBeyond(end: Uint8Array | undefined, key: Uint8Array): boolean {
  return end === undefined || compareBytes(end, key) > 0;
}

function update<T>(node: Node<T>): void {
  let furthest = node.end;
  if (node.left !== undefined && compareEnds(node.left.furthest, furthest) > 0) {
    furthest = node.left.furthest;
  }
  if (node.right !== undefined && compareEnds(node.right.furthest, furthest) > 0) {
    furthest = node.right.furthest;
  }
  node.furthest = furthest;
}

function insert<T>(node: Node<T> | undefined, fresh: Node<T>): Node<T> {
  if (node === undefined) {
    return fresh;
  }
  if (fresh.priority > node.priority) {
    [fresh.left, fresh.right] = split(node, fresh);
    update(fresh);
    return fresh;
  }
  if (compareIntervals(fresh, node) < 0) {
    node.left = insert(node.left, fresh);
  } else {
    node.right = insert(node.right, fresh);
  }
  update(node);
  return node;
}

type Halves<T> = [below: Node<T> | undefined, above: Node<T> | undefined];

function split<T>(node: Node<T> | undefined, at: Interval): Halves<T> {
  if (node === undefined) {
    return [undefined, undefined];
  }
  if (compareIntervals(node, at) < 0) {
    const [below, above] = split(node.right, at);
    node.right = below;
    update(node);
    return [node, above];
  }
  const [below, above] = split(node.left, at);
  node.left = above;
  update(node);
  return [below, node];
}

function remove<T>(node: Node<T> | undefined, gone: Interval): Node<T> | undefined {
  if (node === undefined) {
    return undefined;
  }
  const order = compareIntervals(gone, node);
  if (order === 0) {
    return join(node.left, node.right);
  }
  if (order < 0) {
    node.left = remove(node.left, gone);
  } else {
    node.right = remove(node.right, gone);
  }
  update(node);
  return node;
}

function join<T>(below: Node<T> | undefined, above: Node<T> | undefined): Node<T> | undefined {
  if (below === undefined || above === undefined) {
    return below ?? above;
  }
  if (below.priority > above.priority) {
    below.right = join(below.right, above);
    update(below);
    return below;
  }
  above.left = join(below, above.left);
  update(above);
  return above;
}

function collect<T>(root: Node<T> | undefined, key: Uint8Array, into: T[]): void {
  let node = root;
  while (node !== undefined && isBeyond(node.furthest, key)) {
    collect(node.left, key, into);
    if (compareBytes(node.key, key) > 0) {
      return;
    }
    if (isBeyond(node.end, key)) {
      into.push(node.value);
    }
    node = node.right;
  }
}
