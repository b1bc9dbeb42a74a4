// Numbers as text whose order is theirs.

/** A whole number of 0 or more with so many digits. */
export function padNumber(number: number, digits: number): string {
  return String(number).padStart(digits, "0");
}

const numberSizeBytes = 8;

/**
 * Any number but NaN as 16 hex digits; the larger number's text sorts later. -0 and 0 are the same.
 * The bits of a double (IEEE 754) sort as their numbers do once the sign is turned over, and all
 * bits of negative ones.
 */
export function sortableNumber(number: number): string {
  const view = new DataView(new ArrayBuffer(numberSizeBytes));
  view.setFloat64(0, number + 0);
  const bits = view.getBigUint64(0);
  const isNegative = bits >> 63n === 1n;
  const sortable = isNegative ? BigInt.asUintN(64, ~bits) : bits | (1n << 63n);
  return sortable.toString(16).padStart(2 * numberSizeBytes, "0");
}
