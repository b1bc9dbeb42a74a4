// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78), sliced by eight. Pure, for the
// deterministic zone and for HashKV, whose value etcd defines by it. Storage uses zlib's CRC-32.

const polynomial = 0x82f63b78;
const tables = makeTables();

function makeTables(): Uint32Array {
  const all = new Uint32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) {
      crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    }
    all[byte] = crc >>> 0;
  }
  for (let slice = 1; slice < 8; slice++) {
    for (let byte = 0; byte < 256; byte++) {
      const previous = all[(slice - 1) * 256 + byte] as number;
      all[slice * 256 + byte] = ((previous >>> 8) ^ (all[previous & 0xff] as number)) >>> 0;
    }
  }
  return all;
}

/** CRC-32C of `bytes`, continuing from `seed` (0 to start): an unsigned 32-bit number. */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  const t = tables as { readonly [index: number]: number };
  const b = bytes as { readonly [index: number]: number };
  let crc = ~seed;
  let i = 0;
  const aligned = bytes.length - (bytes.length % 8);
  while (i < aligned) {
    const low = crc ^ (b[i]! | (b[i + 1]! << 8) | (b[i + 2]! << 16) | (b[i + 3]! << 24));
    crc =
      t[1792 + (low & 0xff)]! ^
      t[1536 + ((low >>> 8) & 0xff)]! ^
      t[1280 + ((low >>> 16) & 0xff)]! ^
      t[1024 + (low >>> 24)]! ^
      t[768 + b[i + 4]!]! ^
      t[512 + b[i + 5]!]! ^
      t[256 + b[i + 6]!]! ^
      t[b[i + 7]!]!;
    i += 8;
  }
  while (i < bytes.length) {
    crc = (crc >>> 8) ^ t[(crc ^ b[i]!) & 0xff]!;
    i++;
  }
  return ~crc >>> 0;
}
