// Slabs that connections write frames into, used again: made anew for every large answer they
// would be most of the garbage of a busy server.

/** All slabs of the pool have this size. */
export const slabBytes: number = 64 * 1024;
/** More than so many are left to the garbage collector. */
const slabsKept = 64;

const free: Uint8Array[] = [];

export function takeSlab(): Uint8Array {
  return free.pop() ?? Buffer.allocUnsafeSlow(slabBytes);
}

/** Nobody looks at the slab any more. */
export function giveSlab(slab: Uint8Array): void {
  if (free.length < slabsKept) {
    free.push(slab);
  }
}
